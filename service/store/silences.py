"""Silences: who keeps which incidents from being told, from when until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import silences as table


@dataclass(frozen=True, slots=True)
class Silence:
    """`match` is filter text over incidents; in force from `starts_at` on, before `ends_at`. `announced_at` is when it was
    told that it has ended (None: not yet)."""

    id: int
    match: str
    starts_at: datetime
    ends_at: datetime
    comment: str
    author: str
    created_at: datetime
    announced_at: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at that time."""
        return self.starts_at <= at < self.ends_at


async def add(
    conn: AsyncConnection, *, match: str, starts_at: datetime, ends_at: datetime, comment: str, author: str
) -> Silence:
    """The new silence."""
    values = {"match": match, "starts_at": starts_at, "ends_at": ends_at, "comment": comment, "author": author}
    return _silence((await conn.execute(insert(table).values(values).returning(table))).one())


async def one(conn: AsyncConnection, silence_id: int, *, lock: bool = False) -> Silence | None:
    """The silence with this id; with `lock` nobody else changes it before the transaction ends."""
    query = select(table).where(table.c.id == silence_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _silence(row) if row else None


async def page(
    conn: AsyncConnection, *, ended: bool | None, now: datetime, before: int | None = None, limit: int
) -> list[Silence]:
    """The newest first, from behind the id `before` on; only those that have `ended` by now, or have not."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if ended is not None:
        query = query.where(table.c.ends_at <= now if ended else table.c.ends_at > now)
    if before is not None:
        query = query.where(table.c.id < before)
    return [_silence(row) for row in await conn.execute(query)]


async def change(conn: AsyncConnection, silence_id: int, **values: Any) -> Silence:
    """The silence with other `values`; one that goes on after all is to be announced again when it ends."""
    if values.get("ends_at"):
        values["announced_at"] = None
    changed = update(table).where(table.c.id == silence_id).values(**values).returning(table)
    return _silence((await conn.execute(changed)).one())


async def remove(conn: AsyncConnection, silence_id: int) -> None:
    """Forgets it, as if it had never been."""
    await conn.execute(delete(table).where(table.c.id == silence_id))


async def between(conn: AsyncConnection, *, since: datetime, until: datetime) -> list[Silence]:
    """Those that are in force at some time in [since, until], the first made first."""
    query = select(table).where(table.c.ends_at > since, table.c.starts_at <= until).order_by(table.c.id)
    return [_silence(row) for row in await conn.execute(query)]


async def to_announce(conn: AsyncConnection, *, now: datetime) -> list[Silence]:
    """Those that have ended and of which that is still to be told, locked until the transaction ends."""
    query = select(table).where(table.c.announced_at.is_(None), table.c.ends_at <= now).order_by(table.c.id)
    return [_silence(row) for row in await conn.execute(query.with_for_update(skip_locked=True))]


async def announced(conn: AsyncConnection, ended: Sequence[Silence]) -> None:
    """Marks them as told: the deliveries are in this transaction."""
    ids = [one.id for one in ended]
    await conn.execute(update(table).where(table.c.id.in_(ids)).values(announced_at=func.now()))


def _silence(row: Row[Any]) -> Silence:
    return Silence(**row._mapping)
