"""Quarantine, read: what could not be parsed, with the reason, newest first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.pages import Key, Page, follows
from service.store.tables import apps, quarantine


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A stretch of a body that could not be read: its bytes as they came (redacted), and why."""

    id: UUID
    received_at: datetime
    app: str
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stretches: those of that app, received from `since` on and before `until`."""

    app: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def latest(conn: AsyncConnection, wanted: Wanted, *, after: Key | None, limit: int) -> Page[Quarantined]:
    """The newest `limit` stretches that are wanted, newest first; those that follow the key `after` where one is given."""
    query = (
        select(quarantine.c.id, quarantine.c.received_at, apps.c.name, quarantine.c.reason, quarantine.c.body)
        .join(apps, apps.c.id == quarantine.c.app_id)
        .order_by(quarantine.c.received_at.desc(), quarantine.c.id.desc())
        .limit(limit + 1)
    )
    if wanted.app is not None:
        query = query.where(apps.c.name == wanted.app)
    if wanted.since is not None:
        query = query.where(quarantine.c.received_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(quarantine.c.received_at < wanted.until)
    if after is not None:
        query = query.where(follows(quarantine.c.received_at, quarantine.c.id, after))
    rows = list(await conn.execute(query))
    found = tuple(Quarantined(row.id, row.received_at, row.name, row.reason, row.body) for row in rows[:limit])
    return Page(found, Key(found[-1].received_at, found[-1].id) if len(rows) > limit else None)
