"""The parts of a merged chunk, packed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor, ZstdError

from service.store.ids import new_id
from service.store.parts import Part, pack, parts_of, unpack

NOON = datetime(2026, 5, 11, 12, 0, 0, 123456, tzinfo=UTC)
SIZE = st.integers(0, 2**32 - 1)
PARTS = st.builds(Part, st.datetimes(timezones=st.just(UTC)), st.uuids(), SIZE, SIZE)


@given(st.lists(PARTS, max_size=20))
def test_what_is_packed_is_unpacked_as_it_was(parts: list[Part]) -> None:
    assert unpack(pack(parts)) == parts


def test_a_chunk_that_is_not_merged_is_its_only_part() -> None:
    part = Part(NOON, new_id(NOON), lines=3, size=400)
    assert parts_of(part.received_at, part.id, part.lines, part.size, None) == [part]
    assert parts_of(NOON, new_id(NOON), 6, 800, pack([part, part])) == [part, part]


def test_bytes_that_are_no_parts_are_refused() -> None:
    with pytest.raises(ZstdError):
        unpack(b"no zstd")
    with pytest.raises(Exception, match="32 bytes"):
        unpack(ZstdCompressor().compress(b"33 bytes, which is one too many.."))
