"""What an app sent, body by body in the order of arrival, as whoever reads all of it anew needs it."""

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import zstandard
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import chunk_walk
from service.store.chunk_walk import Filter
from service.store.pages import Key, Page

# Nothing was received before, and there are times before it from which nothing can be subtracted.
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_CHUNKS_AT_ONCE = 64
# A page goes out as one JSON text: large enough that few are asked for, small beside what a process may take.
_PAGE_BYTES = 4 << 20
# Of a body that was given the number is this; of one from which on is to be read it is 0.
_GIVEN = 1


@dataclass(frozen=True, slots=True)
class Body:
    """A commit's messages of one app, octet-counted as they came (after redaction)."""

    received_at: datetime
    id: UUID
    lines: int
    body: bytes


async def arrived(
    conn: AsyncConnection, app_id: int, *, since: datetime, until: datetime, after: Key | None
) -> Page[Body]:
    """The bodies received in [since, until), oldest first, from behind the key `after` on: some megabytes of them."""
    at: Key = after or Key(max(since, _BEGINNING), UUID(int=0))
    found: list[Body] = []
    size = 0
    while True:
        stretch = await chunk_walk.newer(conn, Filter([app_id]), than=at, limit=_CHUNKS_AT_ONCE)
        last = (stretch.edge.at, stretch.edge.id) if stretch.edge else None
        begin = (at.at, at.id)
        pieces = heapq.merge(*(one.pieces(begin, last) for one in stretch.chunks), key=lambda piece: piece.part.key)
        unpacked: dict[UUID, bytes] = {}
        for piece in pieces:
            part = piece.part
            if at.number == _GIVEN and part.key == begin:
                continue
            if part.received_at >= until:
                return Page(tuple(found), None)
            if piece.chunk.id not in unpacked:
                whole = zstandard.ZstdDecompressor().decompress(piece.chunk.body, max_output_size=piece.chunk.size)
                unpacked[piece.chunk.id] = whole
            body = unpacked[piece.chunk.id][piece.begin : piece.begin + part.size]
            found.append(Body(part.received_at, part.id, part.lines, body))
            size += len(body)
            if size >= _PAGE_BYTES:
                return Page(tuple(found), Key(part.received_at, part.id, _GIVEN))
        if stretch.edge is None:
            return Page(tuple(found), None)
        at = Key(stretch.edge.at, stretch.edge.id, _GIVEN)
