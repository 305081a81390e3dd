"""Whether a step was told, where, and why (not): a row each, in the transaction that fans the step out.

What is decided without a step (a reminder, and that something else still hushes an incident) is a row too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.ids import new_id
from service.store.tables import decisions as table
from service.store.tables import transitions

# The `number` of what is decided without a step of the incident.
OF_NO_STEP = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """`type` is the notification's, `number` the incident's step or OF_NO_STEP; `endpoint_id` None: hushed everywhere;
    `delivery_id` what tells it."""

    at: datetime
    app_id: int
    incident_id: UUID
    number: int
    endpoint_id: int | None
    type: str
    told: bool
    reason: str
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision and the kind of step that it is about; None where it is about none."""

    decision: Decision
    step: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What an endpoint was told of an incident since it was last told that it is over. `heard`: something of it arrived or
    still may; `since`: when the first of it came about."""

    heard: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening that was told lately: when it was committed, where, and when; `digest`: among others."""

    incident_id: UUID
    endpoint_id: int
    at: datetime
    digest: bool


async def record(conn: AsyncConnection, made: Sequence[Decision]) -> None:
    """Writes them down."""
    if made:
        await conn.execute(insert(table), [{"id": new_id(), **_columns(one)} for one in made])


async def told(
    conn: AsyncConnection, *, app_id: int, incident_id: UUID, number: int, endpoint_ids: Sequence[int]
) -> dict[int, Told]:
    """Which of the endpoints were told of the incident before its step `number`, since they were last told that it is over."""
    asked = {"app": app_id, "incident": incident_id, "number": number, "endpoints": list(endpoint_ids)}
    rows = await conn.execute(_TOLD, asked)
    return {row.endpoint_id: Told(heard=row.heard, since=row.since) for row in rows}


async def openings(conn: AsyncConnection, *, since: datetime) -> list[Opening]:
    """The openings told from that time on, once for each endpoint."""
    rows = await conn.execute(_OPENINGS, {"since": since})
    return [Opening(row.incident_id, row.endpoint_id, row.at, row.digest) for row in rows]


async def held_back(
    conn: AsyncConnection, app_ids: Collection[int], incident_ids: Collection[UUID], *, type: str
) -> dict[tuple[UUID, int], str]:
    """Why these incidents of these apps were not told of in a notification of this `type` that goes with no step, by incident
    and endpoint, where the newest such decision was not to."""
    asked = {"apps": list(app_ids), "incidents": list(incident_ids), "number": OF_NO_STEP, "type": type}
    rows = await conn.execute(_HELD_BACK, asked)
    return {(row.incident_id, row.endpoint_id): row.reason for row in rows if not row.told}


async def of_incidents(
    conn: AsyncConnection, app_id: int, incident_ids: Collection[UUID], *, until: datetime | None = None, limit: int
) -> list[Explained]:
    """What was decided of these incidents, the first `limit` of it, in the order in which it was; before `until`."""
    query = (
        select(table, transitions.c.type.label("step"))
        .outerjoin(
            transitions,
            (transitions.c.app_id == table.c.app_id)
            & (transitions.c.incident_id == table.c.incident_id)
            & (transitions.c.number == table.c.number),
        )
        .where(table.c.app_id == app_id, table.c.incident_id.in_(incident_ids))
        .order_by(table.c.id)
        .limit(limit)
    )
    if until is not None:
        query = query.where(table.c.at <= until)
    return [Explained(_decision(row), row.step) for row in await conn.execute(query)]


def _columns(one: Decision) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Decision.__slots__}


def _decision(row: Any) -> Decision:
    return Decision(**{name: getattr(row, name) for name in Decision.__slots__})


_TOLD = text("""
    select c.endpoint_id, bool_or(d.status is distinct from 'dead') as heard, min(t.at) as since
    from decisions c
    join transitions t using (app_id, incident_id, number)
    left join deliveries d on d.id = c.delivery_id
    where c.app_id = :app and c.incident_id = :incident and c.endpoint_id = any(:endpoints) and c.told
        and c.number < :number
        and c.number > coalesce((
            select max(r.number) from decisions r
            where r.app_id = c.app_id and r.incident_id = c.incident_id and r.endpoint_id = c.endpoint_id and r.told
                and r.number < :number and r.type = 'incident.resolved'), 0)
    group by c.endpoint_id""")

_HELD_BACK = text("""
    select distinct on (incident_id, endpoint_id) incident_id, endpoint_id, told, reason from decisions
    where app_id = any(:apps) and incident_id = any(:incidents) and number = :number and type = :type
    order by incident_id, endpoint_id, id desc""")

_OPENINGS = text("""
    select c.incident_id, c.endpoint_id, min(c.at) as at, bool_or(d.incident_id is null) as digest
    from decisions c left join deliveries d on d.id = c.delivery_id
    where c.told and c.at > :since and c.type in ('incident.opened', 'incidents.digest')
    group by c.incident_id, c.endpoint_id""")
