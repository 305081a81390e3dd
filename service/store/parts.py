"""What a merged chunk is made of: which commits' lines stand in it, in the order of arrival.

So a line keeps its place for good (the time of receipt and the id of the chunk that it came in, and its number there), and
with it cursors, ids of lines and events hold, though that chunk is no longer one of its own.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import zstandard

_PART = struct.Struct(">q16sII")
# 32 bytes a part, most of which its neighbours have too: 15 are left. Column by column it would be 11, for a third more code.
_LEVEL = 9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Part:
    """A commit's lines in a chunk: when it was received, its id, how many lines, how many bytes before compression."""

    received_at: datetime
    id: UUID
    lines: int
    size: int

    @property
    def key(self) -> tuple[datetime, UUID]:
        """Parts of one app sort by it: the order of arrival."""
        return self.received_at, self.id


def parts_of(received_at: datetime, id: UUID, lines: int, size: int, packed: bytes | None) -> Sequence[Part]:
    """The parts of a chunk in their order, from its columns: one that is not merged is its only part."""
    return [Part(received_at, id, lines, size)] if packed is None else unpack(packed)


def pack(parts: Sequence[Part]) -> bytes:
    """What `unpack` reads back."""
    packed = [
        _PART.pack((part.received_at - _EPOCH) // _MICROSECOND, part.id.bytes, part.lines, part.size) for part in parts
    ]
    return zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(packed))


def unpack(packed: bytes) -> list[Part]:
    """The parts, in their order. Raises zstandard.ZstdError or struct.error for what `pack` has not made."""
    return [
        Part(_EPOCH + at * _MICROSECOND, UUID(bytes=id), lines, size)
        for at, id, lines, size in _PART.iter_unpack(zstandard.ZstdDecompressor().decompress(packed))
    ]
