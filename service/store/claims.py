"""Who sends a delivery just now, and what came of it.

A delivery is claimed in one transaction, sent outside of any, and recorded in another. A claim is a time on the database's
clock: whoever dies with it is followed when it lapses, and the repeat carries the same id.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.deliveries import Attempt


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours to send until `until`, with all that the POST needs; its `repr` holds no secret. `at` is when
    it was claimed, `failures` how often it failed since it was queued."""

    id: UUID
    endpoint_id: int
    type: str
    payload: str = field(repr=False)
    failures: int
    give_up_at: datetime
    at: datetime
    until: datetime
    format: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: datetime | None
    routing_key: str | None = field(repr=False)
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A resolution whose opening (which came about at `since`) has not been delivered: the one can tell both. `at` and
    `incident` are its transition's."""

    delivery_id: UUID
    endpoint_id: int
    format: str
    at: datetime
    since: datetime
    incident: Mapping[str, Any]


async def due_endpoints(conn: AsyncConnection, *, now: datetime) -> dict[int, str | None]:
    """Endpoints with something due, and their quiet hours; locked until the transaction ends, those that another transaction
    holds are left out. The lock makes the bound on what is under way at an endpoint hold over all workers."""
    return {row.id: row.quiet_hours for row in await conn.execute(_DUE_ENDPOINTS, {"now": now})}


async def hold_back(conn: AsyncConnection, endpoint_id: int, *, now: datetime, until: datetime) -> None:
    """Puts off what is due at this (locked) endpoint until then, save what is critical and what must come before that; the time
    does not count as time in which it could not be delivered. What is of no incident is not held back, save a digest."""
    given = {"endpoint": endpoint_id, "now": now, "until": until}
    await conn.execute(_LET_GO, given)
    await conn.execute(_HOLD_BACK, given)


async def supersede_come_back(conn: AsyncConnection, endpoint_ids: Iterable[int], *, now: datetime) -> None:
    """Ends what is owed at these (locked) endpoints of incidents before their last reopening, where nothing of it is being
    sent just now: the reopening tells it all."""
    await conn.execute(_COME_BACK, {"endpoints": list(endpoint_ids), "now": now})


async def let_go(conn: AsyncConnection, endpoint_id: int, *, now: datetime) -> None:
    """Makes due what was held back at the endpoint: its quiet hours are others, or none, from now on."""
    await conn.execute(_LET_ALL_GO, {"endpoint": endpoint_id, "now": now})


async def overtaken(conn: AsyncConnection, endpoint_ids: Iterable[int], *, now: datetime) -> list[Overtaken]:
    """The resolutions due at these (locked) endpoints whose opening or reopening is still owed and not being sent just now."""
    rows = await conn.execute(_OVERTAKEN, {"endpoints": list(endpoint_ids), "now": now})
    return [
        Overtaken(
            delivery_id=row.id,
            endpoint_id=row.endpoint_id,
            format=row.format,
            at=row.at,
            since=row.since,
            incident=row.incident,
        )
        for row in rows
    ]


async def supersede(conn: AsyncConnection, resolution: Overtaken, *, payload: str) -> None:
    """Lets the resolution tell all with `payload`: what is owed before it of the same incident is superseded."""
    await conn.execute(_SUPERSEDE, {"id": resolution.delivery_id, "payload": payload})


async def claim(
    conn: AsyncConnection,
    endpoint_ids: Iterable[int],
    *,
    now: datetime,
    limit: int,
    per_endpoint: int,
    lasts: timedelta,
) -> list[Claim]:
    """Up to `limit` deliveries that are due at these (locked) endpoints, the longest due first, now ours for the time that a
    claim `lasts`: as many for each endpoint as keep those under way within `per_endpoint`, and of one incident none before
    its predecessor is done with."""
    rows = await conn.execute(
        _CLAIM,
        {
            "endpoints": list(endpoint_ids),
            "now": now,
            "until": now + lasts,
            "limit": limit,
            "per_endpoint": per_endpoint,
        },
    )
    return [
        Claim(
            id=row.id,
            endpoint_id=row.endpoint_id,
            type=row.type,
            payload=row.payload,
            failures=row.failures,
            give_up_at=row.give_up_at,
            at=now,
            until=row.claimed_until,
            format=row.format,
            url=row.url,
            secret=row.secret,
            previous_secret=row.previous_secret,
            previous_until=row.previous_until,
            routing_key=row.routing_key,
            allow_private=row.allow_private,
        )
        for row in rows
    ]


async def record_success(conn: AsyncConnection, claimed: Claim, attempt: Attempt) -> None:
    """Writes the attempt down; the delivery is done, whatever became of the claim meanwhile."""
    await _add_attempt(conn, claimed, attempt)
    await conn.execute(_DELIVERED, {"id": claimed.id})


async def record_failure(conn: AsyncConnection, claimed: Claim, attempt: Attempt, *, due_at: datetime | None) -> None:
    """Writes the attempt down; the delivery is due again at `due_at`, or dead where that is None. Where the claim has lapsed
    and somebody else holds or ended the delivery, that stays as it is."""
    await _add_attempt(conn, claimed, attempt)
    await conn.execute(_FAILED, {"id": claimed.id, "until": claimed.until, "due_at": due_at})


async def _add_attempt(conn: AsyncConnection, claimed: Claim, attempt: Attempt) -> None:
    # The lock orders two recorders of one delivery: one whose claim lapsed, and one who followed.
    await conn.execute(_LOCK, {"id": claimed.id})
    await conn.execute(
        _ADD_ATTEMPT,
        {
            "id": claimed.id,
            "at": attempt.at,
            "status": attempt.status,
            "ms": attempt.ms,
            "error": attempt.error,
            "answer": attempt.answer,
        },
    )


_DUE_ENDPOINTS = text("""
    select e.id, e.quiet_hours from endpoints e
    where e.removed_at is null and e.disabled_reason is null and exists (
        select from deliveries d
        where d.endpoint_id = e.id and d.status = 'pending' and d.due_at <= :now
            and (d.claimed_until is null or d.claimed_until <= :now))
    order by e.id
    for no key update of e skip locked""")

# An incident's critical step takes with it what was owed before it.
_CRITICAL_LATER = """
    exists (
        select from deliveries c join transitions t using (app_id, incident_id, number)
        where c.endpoint_id = d.endpoint_id and c.incident_id = d.incident_id and c.number >= d.number
            and c.status = 'pending' and t.incident ->> 'severity' = 'critical')"""

_HOLD_BACK = text(f"""
    update deliveries d set due_at = :until,
        give_up_at = give_up_at + (cast(:until as timestamptz) - cast(:now as timestamptz))
    where d.endpoint_id = :endpoint and d.status = 'pending' and d.due_at <= :now
        and (d.incident_id is not null or d.type = 'incidents.digest')
        and (d.claimed_until is null or d.claimed_until <= :now) and not {_CRITICAL_LATER}
        and not exists ( -- nor a digest with something critical in it
            select from decisions c join transitions t using (app_id, incident_id, number)
            where c.delivery_id = d.id and d.incident_id is null and t.incident ->> 'severity' = 'critical')""")  # noqa: S608

# What never failed and is not due was held back.
_LET_GO = text(f"""
    update deliveries d set due_at = :now
    where d.endpoint_id = :endpoint and d.status = 'pending' and d.due_at > :now and d.failures = 0
        and d.incident_id is not null and {_CRITICAL_LATER}""")  # noqa: S608

# What was over and has come back before its end could be told was never over.
_COME_BACK = text("""
    update deliveries d set status = 'superseded', claimed_until = null
    where d.endpoint_id = any(:endpoints) and d.status = 'pending' and d.incident_id is not null
        and exists (
            select from deliveries l
            where l.endpoint_id = d.endpoint_id and l.incident_id = d.incident_id and l.number > d.number
                and l.status = 'pending' and l.type = 'incident.reopened')
        and not exists (
            select from deliveries s
            where s.endpoint_id = d.endpoint_id and s.incident_id = d.incident_id and s.status = 'pending'
                and s.claimed_until > :now)""")

_LET_ALL_GO = text("""
    update deliveries set due_at = :now
    where endpoint_id = :endpoint and status = 'pending' and due_at > :now and failures = 0""")

# The last resolution of each incident tells of all that is owed before it. While the first thing owed is being sent, it may
# yet arrive: then nothing is overtaken.
_OVERTAKEN = text("""
    select r.id, r.endpoint_id, e.format, t.at, t.incident, opening.since
    from deliveries r
    join endpoints e on e.id = r.endpoint_id
    join transitions t using (app_id, incident_id, number)
    cross join lateral (
        select min(u.at) filter (where o.type in ('incident.opened', 'incident.reopened')) as since,
            bool_or(o.claimed_until > :now) as being_sent
        from deliveries o join transitions u using (app_id, incident_id, number)
        where o.endpoint_id = r.endpoint_id and o.incident_id = r.incident_id and o.number < r.number
            and o.status = 'pending') as opening
    where r.endpoint_id = any(:endpoints) and r.status = 'pending' and r.due_at <= :now and r.type = 'incident.resolved'
        and opening.since is not null and opening.being_sent is not true
        and not exists (
            select from deliveries l
            where l.endpoint_id = r.endpoint_id and l.incident_id = r.incident_id and l.number > r.number
                and l.status = 'pending' and l.type = 'incident.resolved')""").columns(incident=JSONB)

_SUPERSEDE = text("""
    with resolution as (
        update deliveries set payload = :payload where id = :id returning endpoint_id, incident_id, number)
    update deliveries d set status = 'superseded', claimed_until = null
    from resolution r
    where d.endpoint_id = r.endpoint_id and d.incident_id = r.incident_id and d.number < r.number
        and d.status = 'pending'""")

_CLAIM = text("""
    with place as (
        select e.id, :per_endpoint - (
            select count(*) from deliveries d
            where d.endpoint_id = e.id and d.status = 'pending' and d.claimed_until > :now) as free
        from endpoints e where e.id = any(:endpoints)),
    chosen as (
        select due.id from place cross join lateral (
            select d.id, d.due_at from deliveries d
            where d.endpoint_id = place.id and d.status = 'pending' and d.due_at <= :now
                and (d.claimed_until is null or d.claimed_until <= :now)
                and not exists (
                    select from deliveries p
                    where p.endpoint_id = d.endpoint_id and p.incident_id = d.incident_id
                        and (p.number, p.repeat) < (d.number, d.repeat) and p.status = 'pending')
                and not exists ( -- nor before what tells of it among others
                    select from decisions c join deliveries p on p.id = c.delivery_id
                    where c.app_id = d.app_id and c.incident_id = d.incident_id and c.endpoint_id = d.endpoint_id
                        and c.number < d.number and p.incident_id is null and p.status = 'pending')
            order by d.due_at, d.id
            limit greatest(place.free, 0)
            for update of d skip locked) as due
        order by due.due_at, due.id
        limit :limit)
    update deliveries d set claimed_until = :until
    from chosen, endpoints e
    where d.id = chosen.id and e.id = d.endpoint_id
    returning d.id, d.endpoint_id, d.type, d.payload, d.failures, d.give_up_at, d.claimed_until,
        e.format, e.url, e.secret, e.previous_secret, e.previous_until, e.routing_key, e.allow_private""")

_LOCK = text("select from deliveries where id = :id for no key update")

_ADD_ATTEMPT = text("""
    insert into attempts (delivery_id, number, at, status, ms, error, answer)
    select :id, coalesce(max(number), 0) + 1, cast(:at as timestamptz), cast(:status as int), cast(:ms as int),
        cast(:error as text), cast(:answer as text)
    from attempts where delivery_id = :id""")

_DELIVERED = text("update deliveries set status = 'delivered', claimed_until = null where id = :id")

_FAILED = text("""
    update deliveries set failures = failures + 1, claimed_until = null,
        due_at = coalesce(cast(:due_at as timestamptz), due_at),
        status = case when cast(:due_at as timestamptz) is null then 'dead' else 'pending' end
    where id = :id and status = 'pending' and claimed_until = :until""")
