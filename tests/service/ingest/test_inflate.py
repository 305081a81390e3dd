"""gzip bodies: what they hold, and no more than is allowed."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs import times_as_much
from service.ingest.inflate import MOST_MEMBERS, NotGzip, TooLarge, inflate

TEXT = b"a line of text\n" * 1000


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), st.integers(0, 9), st.integers(0, 600))
def test_what_was_zipped_comes_out_whatever_it_is_and_in_however_many_members(
    parts: list[bytes], level: int, padding: int
) -> None:
    body = b"".join(gzip.compress(part, level) for part in parts) + bytes(padding)
    assert inflate(body, most=1 << 20) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 1_000_000])
def test_as_much_as_is_allowed_is_inflated_and_a_byte_more_is_not(size: int) -> None:
    body = gzip.compress(b"x" * size)
    assert len(inflate(body, most=size)) == size
    if size:
        with pytest.raises(TooLarge):
            inflate(body, most=size - 1)


def test_a_bomb_takes_no_more_memory_and_time_than_what_is_allowed(request: pytest.FixtureRequest) -> None:
    bomb = gzip.compress(bytes(200 << 20), 9)
    assert len(bomb) < 300_000
    bomb *= 10
    allowed = gzip.compress(bytes(10 << 20), 9)

    def burst() -> None:
        with pytest.raises(TooLarge):
            inflate(bomb, most=10 << 20)

    assert times_as_much(burst, lambda: inflate(allowed, most=10 << 20)) < 10  # of 200 that it holds
    tracemalloc.start()
    request.addfinalizer(tracemalloc.stop)
    burst()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20


def test_members_without_end_are_not_followed() -> None:
    with pytest.raises(NotGzip, match=f"more than {MOST_MEMBERS} members"):
        inflate(gzip.compress(b"") * 100_000, most=1 << 20)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the gzip ends too soon"),
        (TEXT, "the gzip is damaged: .*incorrect header"),
        (gzip.compress(TEXT)[:-1], "the gzip ends too soon"),
        (gzip.compress(TEXT)[:20], "the gzip ends too soon"),
        (gzip.compress(TEXT)[:-8] + b"12345678", "the gzip is damaged: .*data check"),
        (gzip.compress(TEXT) + b"rubbish", "the gzip is damaged: .*incorrect header"),
        (gzip.compress(TEXT) + gzip.compress(TEXT)[:9], "the gzip ends too soon"),
        (zlib.compress(TEXT), "the gzip is damaged: .*incorrect header"),
    ],
    ids=["nothing", "text", "cut", "cut early", "checksum", "rubbish behind", "second cut", "zlib"],
)
def test_what_is_broken_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(NotGzip, match=reason):
        inflate(body, most=1 << 20)
