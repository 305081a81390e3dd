"""The steps of incidents' lives: their timeline, and the outbox from which notifications are made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import dump_json
from service.store.tables import transitions as table
from service.store.wakeups import DELIVERIES

# Names the lock of whoever fans out; a number that nothing else in the database locks.
_TURN = 0x6472_6169_6E77
# What waits for so long was held up by an outage; who never catches up is told of all the same.
_IS_CAUGHT_UP = """
    (transitions.made_at < now() - interval '2 minutes' or not exists (
        select from pending p where p.app_id = transitions.app_id and p.received_at < now() - interval '10 seconds'))
"""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step: `number` counts from 1 within its incident, `at` is events' time, `made_at` when it was committed, `actor`
    who did it (None: drainwatch), `incident` the incident's JSON as it was then."""

    app_id: int
    incident_id: UUID
    number: int
    type: str
    at: datetime
    made_at: datetime
    actor: str | None
    note: str | None
    incident: Mapping[str, Any]


async def append(
    conn: AsyncConnection,
    *,
    app_id: int,
    incident_id: UUID,
    number: int,
    type: str,
    at: datetime,
    incident: Mapping[str, Any],
    actor: str | None = None,
    note: str | None = None,
) -> None:
    """Adds a step; whoever tells of it is woken when the transaction commits. A number that is there already is a
    violation of the primary key."""
    step = {
        "app_id": app_id,
        "incident_id": incident_id,
        "number": number,
        "type": type,
        "at": at,
        "actor": actor,
        "note": note,
        "incident": dump_json(incident),
        "channel": DELIVERIES,
    }
    await conn.execute(_APPEND, step)


_APPEND = text("""
    with step as (
        insert into transitions (app_id, incident_id, number, type, at, actor, note, incident)
        values (:app_id, :incident_id, :number, :type, :at, :actor, :note, cast(:incident as jsonb))
    )
    select pg_notify(:channel, '')""")


async def wake(conn: AsyncConnection) -> None:
    """Wakes whoever makes and sends deliveries, when the transaction commits; once, however often it is called in it."""
    await conn.execute(text("select pg_notify(:channel, '')"), {"channel": DELIVERIES})


async def may_be_owed(conn: AsyncConnection, *, now: datetime) -> bool:
    """Whether there is a step that was not fanned out, a silence whose end is not told, or an incident that was hushed; one
    question for whoever asks again and again."""
    return bool((await conn.execute(_MAY_BE_OWED, {"now": now})).scalar_one())


async def take_turn(conn: AsyncConnection) -> bool:
    """Whether nobody else fans out just now; if so nobody does before the transaction ends. What one decides (a storm, the end
    of a silence) must be there for the next one. Who does not get the turn need not wait: whoever has it does the work."""
    taken = await conn.execute(text("select pg_try_advisory_xact_lock(:key)"), {"key": _TURN})
    return bool(taken.scalar_one())


async def owed(conn: AsyncConnection, *, limit: int) -> list[Transition]:
    """The steps of up to `limit` incidents that were not fanned out yet, locked until the transaction ends: first come first
    served, an incident's own in order. What another transaction holds is left out, with all that follows it.

    Left out too, for some minutes, is an app whose lines have waited long to be folded: what they opened may be over.
    """
    earlier = table.alias("earlier")
    # An incident's first owed step stands for all of them: who holds it holds the incident, so that a resolution is never
    # fanned out before, or beside, the opening that it belongs to.
    first = (
        select(table.c.app_id, table.c.incident_id)
        .where(
            table.c.fanned_out_at.is_(None),
            text(_IS_CAUGHT_UP),
            ~select(1)
            .where(
                earlier.c.app_id == table.c.app_id,
                earlier.c.incident_id == table.c.incident_id,
                earlier.c.number < table.c.number,
                earlier.c.fanned_out_at.is_(None),
            )
            .exists(),
        )
        .order_by(table.c.made_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    held = [tuple(row) for row in await conn.execute(first)]
    if not held:
        return []
    # A statement of its own, for a younger snapshot: it sees what was committed while the locks were taken.
    steps = (
        select(table)
        .where(
            table.c.fanned_out_at.is_(None),
            tuple_(table.c.app_id, table.c.incident_id).in_(held),
        )
        .order_by(table.c.made_at, table.c.incident_id, table.c.number)
        .with_for_update()
    )
    return [_transition(row) for row in await conn.execute(steps)]


async def owing(conn: AsyncConnection, incident_ids: Collection[UUID]) -> set[UUID]:
    """Which of these incidents have steps that were not fanned out yet."""
    query = select(table.c.incident_id).where(table.c.fanned_out_at.is_(None), table.c.incident_id.in_(incident_ids))
    return set((await conn.execute(query)).scalars())


async def fanned_out(conn: AsyncConnection, steps: Sequence[Transition]) -> None:
    """Marks `steps` as fanned out: their deliveries are in this transaction."""
    for step in steps:
        await conn.execute(
            update(table)
            .where(
                table.c.app_id == step.app_id,
                table.c.incident_id == step.incident_id,
                table.c.number == step.number,
            )
            .values(fanned_out_at=func.now())
        )


async def times(conn: AsyncConnection, *, app_id: int, incident_id: UUID, type: str) -> list[datetime]:
    """When the incident's steps of that type came about."""
    query = select(table.c.at).where(table.c.app_id == app_id, table.c.incident_id == incident_id, table.c.type == type)
    return list((await conn.execute(query)).scalars())


async def timeline(conn: AsyncConnection, *, app_id: int, incident_id: UUID) -> list[Transition]:
    """All steps of one incident, the first one first."""
    steps = select(table).where(table.c.app_id == app_id, table.c.incident_id == incident_id).order_by(table.c.number)
    return [_transition(row) for row in await conn.execute(steps)]


def _transition(row: Row[Any]) -> Transition:
    return Transition(
        app_id=row.app_id,
        incident_id=row.incident_id,
        number=row.number,
        type=row.type,
        at=row.at,
        made_at=row.made_at,
        actor=row.actor,
        note=row.note,
        incident=row.incident,
    )


_MAY_BE_OWED = text("""
    select exists (select from transitions where fanned_out_at is null)
        or exists (select from silences where announced_at is null and ends_at <= :now)
        or exists (select from hushed)""")
