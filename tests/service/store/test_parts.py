"""The parts of a merged chunk, packed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor, ZstdError

from service.store.chunk_walk import Chunk, Piece
from service.store.ids import new_id
from service.store.parts import Part, pack, unpack

NOON = datetime(2026, 5, 11, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SIZE = st.integers(0, 2**32 - 1)
PARTS = st.builds(Part, st.datetimes(timezones=st.just(UTC)), st.uuids(), SIZE, SIZE)


@given(st.lists(PARTS, max_size=20))
def test_what_is_packed_is_unpacked_as_it_was(parts: list[Part]) -> None:
    assert [part for part, _ in unpack(pack(parts))] == parts


def test_each_part_says_where_its_lines_begin_also_where_only_some_are_asked_for() -> None:
    parts = [Part(NOON + n * SECOND, new_id(NOON + n * SECOND), lines=n, size=100 + n) for n in range(4)]
    packed = pack(parts)
    assert [(part.lines, begin) for part, begin in unpack(packed)] == [(0, 0), (1, 100), (2, 201), (3, 303)]
    assert [(part.lines, begin) for part, begin in unpack(packed, newest_first=True)] == [
        (3, 303),
        (2, 201),
        (1, 100),
        (0, 0),
    ]
    assert [part.lines for part, _ in unpack(packed, since=parts[2].key)] == [2, 3]
    assert [part.lines for part, _ in unpack(packed, until=parts[1].key)] == [0, 1]
    some = unpack(packed, since=(NOON + SECOND / 2, UUID(int=0)), until=parts[2].key)
    assert [(part.lines, begin) for part, begin in some] == [(1, 100), (2, 201)]


def test_a_chunk_that_is_not_merged_is_its_only_part() -> None:
    part = Part(NOON, new_id(NOON), lines=3, size=400)
    chunk = Chunk(1, part.received_at, part.id, part.lines, part.size, b"", packed_parts=None)
    assert list(chunk.pieces()) == [Piece(part, 0, chunk)]
    assert list(chunk.pieces(part.key, part.key)) == [Piece(part, 0, chunk)]
    assert list(chunk.pieces((NOON + SECOND, UUID(int=0)))) == []


def test_bytes_that_are_no_parts_are_refused() -> None:
    with pytest.raises(ZstdError):
        list(unpack(b"no zstd"))
    with pytest.raises(Exception, match="32 bytes"):
        list(unpack(ZstdCompressor().compress(b"33 bytes, which is one too many..")))
