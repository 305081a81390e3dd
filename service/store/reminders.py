"""Which endpoints are to be reminded of what, and which reminders nobody needs any more."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder to make: the `repeat`-th of the step `number`, which is the last that the endpoint was told."""

    endpoint_id: int
    app_id: int
    incident_id: UUID
    number: int
    repeat: int


async def due(conn: AsyncConnection, *, now: datetime) -> list[Due]:
    """For each incident that is open (nobody has acknowledged it) and each endpoint that was told of it, wants reminders, and
    was told last as long ago as it says. While something of the incident is still owed to it, there is nothing to remind of."""
    rows = await conn.execute(_DUE, {"now": now})
    return [Due(row.endpoint_id, row.app_id, row.incident_id, row.number, row.repeat) for row in rows]


async def lapse(conn: AsyncConnection, endpoint_ids: Iterable[int], *, now: datetime) -> None:
    """Supersedes what these (locked) endpoints were to be reminded of, where the incident has gone on or is no longer open."""
    await conn.execute(_LAPSE, {"endpoints": list(endpoint_ids), "now": now})


_DUE = text("""
    select e.id as endpoint_id, i.app_id, i.id as incident_id, last.number, last.repeat + 1 as repeat
    from endpoints e
    join incidents i on i.status <> 'resolved' and i.status = 'open'
    cross join lateral (
        select d.number, d.repeat, d.status, d.due_at from deliveries d
        where d.endpoint_id = e.id and d.incident_id = i.id
        union all -- what told of it among others
        select c.number, 0, d.status, d.due_at from decisions c join deliveries d on d.id = c.delivery_id
        where c.app_id = i.app_id and c.incident_id = i.id and c.endpoint_id = e.id and d.incident_id is null
        order by number desc, repeat desc limit 1) as last
    where e.repeat_s is not null and e.removed_at is null and e.disabled_reason is null
        and last.status <> 'pending' and last.due_at <= cast(:now as timestamptz) - e.repeat_s * interval '1 second'
    order by e.id, i.id""")

_LAPSE = text("""
    update deliveries d set status = 'superseded', claimed_until = null
    where d.endpoint_id = any(:endpoints) and d.status = 'pending' and d.type = 'incident.reminder'
        and (d.claimed_until is null or d.claimed_until <= :now)
        and (exists (
                select from deliveries l
                where l.endpoint_id = d.endpoint_id and l.incident_id = d.incident_id
                    and (l.number, l.repeat) > (d.number, d.repeat))
            or exists (select from incidents i where i.app_id = d.app_id and i.id = d.incident_id and i.status <> 'open'))""")
