"""What keeps incidents from being told: causes that inhibit them, and the marks of those that were hushed.

A mark says what hushed an incident, so that it is found when that ends. It is set and removed by whoever fans out, and lies
beside the incident's row, which the worker may hold meanwhile.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.incidents import Incident, with_ids
from service.store.tables import hushed as table

# No silence has this number.
_NO_SILENCE = -1


@dataclass(frozen=True, slots=True)
class Cause:
    """An incident that inhibits others of its app, by their rules, from its opening to its end (None: it goes on)."""

    id: UUID
    app_id: int
    rule: str
    subject: str
    inhibits: tuple[str, ...]
    opened_at: datetime
    resolved_at: datetime | None


async def causes(conn: AsyncConnection, app_ids: Collection[int], *, since: datetime) -> list[Cause]:
    """Of these apps the incidents that inhibit others and had not ended by `since`."""
    rows = await conn.execute(_CAUSES, {"apps": list(app_ids), "since": since})
    return [Cause(**{**row._mapping, "inhibits": tuple(row.inhibits)}) for row in rows]


async def marked(conn: AsyncConnection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these incidents are marked."""
    return set((await conn.execute(select(table.c.incident_id).where(table.c.incident_id.in_(ids)))).scalars())


async def mark(
    conn: AsyncConnection, app_id: int, incident_id: UUID, *, silence_id: int | None, cause_id: UUID | None
) -> None:
    """Marks the incident as one that this silence or this cause keeps from being told."""
    values = {"silence_id": silence_id, "cause_id": cause_id}
    added = insert(table).values(app_id=app_id, incident_id=incident_id, **values)
    await conn.execute(added.on_conflict_do_update(index_elements=["app_id", "incident_id"], set_=values))


async def unmark(conn: AsyncConnection, app_id: int, incident_id: UUID) -> None:
    """Takes the mark away: it is told, or over."""
    await conn.execute(delete(table).where(table.c.app_id == app_id, table.c.incident_id == incident_id))


async def reconsider(conn: AsyncConnection, silence_id: int) -> None:
    """Lets whoever fans out find out anew what keeps those from being told that the silence has hushed."""
    await conn.execute(update(table).where(table.c.silence_id == silence_id).values(silence_id=_NO_SILENCE))


async def let_loose(conn: AsyncConnection, *, now: datetime, limit: int) -> Sequence[Incident]:
    """Incidents that stand, that nobody looks after, and that nothing keeps any more of what their mark names; locked, those
    that others hold left out."""
    return await with_ids(conn, list((await conn.execute(_LET_LOOSE, {"now": now, "limit": limit})).scalars()))


async def standing(conn: AsyncConnection) -> Sequence[Incident]:
    """All that are open and that nobody looks after, the first opened first; locked, those that others hold left out."""
    return await with_ids(conn, list((await conn.execute(_STANDING)).scalars()))


_CAUSES = text("""
    select id, app_id, rule, subject, inhibits, opened_at, resolved_at from incidents
    where app_id = any(:apps) and inhibits <> '{}' and (resolved_at is null or resolved_at >= :since)
    order by opened_at, id""")

_LET_LOOSE = text("""
    select i.id from hushed h join incidents i on i.app_id = h.app_id and i.id = h.incident_id
    where i.status = 'open'
        and not exists (
            select from silences s where s.id = h.silence_id and (s.ends_at > :now or s.announced_at is null))
        and not exists (
            select from incidents c where c.app_id = h.app_id and c.id = h.cause_id and c.status <> 'resolved')
    order by i.id limit :limit for update of i skip locked""")

# To the letter as the partial index has it.
_STANDING = text("""
    select id from incidents where status <> 'resolved' and status = 'open' order by id for update skip locked""")
