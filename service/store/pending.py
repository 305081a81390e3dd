"""What is stored and not yet folded: a row for each chunk, removed by the transaction that folds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import pending


@dataclass(frozen=True, slots=True)
class Pending:
    """One chunk's worth of events; `newest_at` is the newest time at which one of its lines counts, `traffic` what they add
    to which minutes, packed. `unfinished`: the next chunk may go on with something in it."""

    chunk_id: UUID
    received_at: datetime
    newest_at: datetime
    events: int
    traffic: bytes
    unfinished: bool = False


async def waiting(conn: AsyncConnection, app_id: int, *, before: datetime | None = None, most: int) -> list[Pending]:
    """The app's oldest rows, by receipt; those received `before` a time where one is given."""
    query = select(pending).where(pending.c.app_id == app_id).order_by(pending.c.chunk_id).limit(most)
    rows = await conn.execute(query if before is None else query.where(pending.c.received_at < before))
    return [
        Pending(row.chunk_id, row.received_at, row.newest_at, row.events, row.traffic, row.unfinished) for row in rows
    ]


async def remove(conn: AsyncConnection, app_id: int, rows: Sequence[Pending]) -> None:
    """Ends the waiting of `rows`."""
    ids = [row.chunk_id for row in rows]
    await conn.execute(delete(pending).where(pending.c.app_id == app_id, pending.c.chunk_id.in_(ids)))
