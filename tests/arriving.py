"""The words for chunks as they arrive, at whatever time, and for a worker's turn at merging them."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import zstandard
from sqlalchemy import select

from service.store import chunks
from service.store.chunks import KeptLine, Wanted
from service.store.database import Database
from service.store.ids import new_id
from service.store.merging import Done, Sizes, due, merge
from service.store.tables import chunks as table
from service.store.tables import pending
from vocabulary import message

# Yesterday: its partitions exist, and whether it is over is for each test to say.
NOON = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(12), tzinfo=UTC)
SOON, NEXT_DAY = NOON + timedelta(hours=1), NOON + timedelta(days=1)
FEW = Sizes(target=1500, small=700, many=4)
SECOND = timedelta(seconds=1)


async def arrive(
    db: Database, *words: str, at: datetime = NOON, app_id: int = 1, process: str = "web.1", folded: bool = True
) -> UUID:
    """A chunk with these lines, received at that time; gives its id."""
    body = b"".join(message("app", process, said, at) for said in words)
    chunk_id = new_id(at)
    chunk = {"app_id": app_id, "received_at": at, "id": chunk_id, "first_at": at, "last_at": at, "lines": len(words)}
    chunk |= {"processes": [process], "size": len(body), "body": zstandard.ZstdCompressor().compress(body)}
    async with db.begin() as conn:
        await conn.execute(table.insert(), chunk)
        if not folded:
            waiting = {"app_id": app_id, "chunk_id": chunk_id, "received_at": at, "newest_at": at, "events": 0}
            await conn.execute(pending.insert(), waiting)
    return chunk_id


async def arrive_each(db: Database, *words: str, since: datetime = NOON, **more: Any) -> None:
    """A chunk for each of the words, a second apart."""
    for number, said in enumerate(words):
        await arrive(db, said, at=since + number * SECOND, **more)


async def turn(db: Database, *, now: datetime, app_id: int = 1, sizes: Sizes = FEW) -> Done:
    """One worker's turn at an app."""
    async with db.begin() as conn:
        await due(conn, now=now, sizes=sizes)
        return await merge(conn, app_id, now=now, sizes=sizes)


async def listed(db: Database) -> list[KeptLine]:
    """All lines, newest first."""
    async with db.read() as conn:
        return list((await chunks.latest(conn, Wanted(), after=None, limit=10_000)).items)


async def kept(db: Database) -> list[tuple[int, bool]]:
    """How many lines each chunk has and whether it is a merged one, in the order of arrival."""
    async with db.read() as conn:
        rows = await conn.execute(select(table.c.lines, table.c.merged).order_by(table.c.received_at, table.c.id))
        return [(row.lines, row.merged) for row in rows]
