"""What is owed to endpoints, and how it went. Who sends it, and when: `claims.py`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.pages import Key, Page
from service.store.tables import attempts as attempts_table
from service.store.tables import deliveries as table


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST tried: `status` None where no answer came (`error` says why), `answer` its first KiB as text."""

    at: datetime
    status: int | None
    ms: int
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing owed to one endpoint, and how it went. `id` is the webhook-id. `status` is pending, delivered, dead (given up)
    or superseded (over before it could be told). `incident_id` is None for a test."""

    id: UUID
    endpoint_id: int
    type: str
    incident_id: UUID | None
    status: str
    created_at: datetime
    due_at: datetime
    attempts: tuple[Attempt, ...]


async def enqueue(
    conn: AsyncConnection,
    *,
    id: UUID,
    endpoint_id: int,
    type: str,
    payload: str,
    now: datetime,
    give_up_at: datetime,
    app_id: int | None = None,
    incident_id: UUID | None = None,
    number: int | None = None,
    repeat: int = 0,
) -> bool:
    """Adds a delivery, due now. False, and nothing added, where this endpoint is owed this transition already, or the
    `repeat`-th reminder of it."""
    added = (
        insert(table)
        .values(
            id=id,
            endpoint_id=endpoint_id,
            app_id=app_id,
            incident_id=incident_id,
            number=number,
            repeat=repeat,
            type=type,
            status="pending",
            payload=payload,
            due_at=now,
            give_up_at=give_up_at,
        )
        .on_conflict_do_nothing(index_elements=["endpoint_id", "incident_id", "number", "repeat"])
    )
    return (await conn.execute(added.returning(table.c.id))).first() is not None


async def overdue(conn: AsyncConnection, *, per_endpoint: int) -> int:
    """How many deliveries should have been sent more than a minute ago and were not, though nothing stood in their way: no
    earlier step of their incident, and not `per_endpoint` others that are being sent to a slow receiver. 0: all is well."""
    count: int = (await conn.execute(_OVERDUE, {"per_endpoint": per_endpoint})).scalar_one()
    return count


async def send_again(conn: AsyncConnection, delivery_id: UUID, *, now: datetime, give_up_at: datetime) -> bool:
    """Queues a delivery that is delivered or dead anew, under the same id; whether it was one."""
    changed = await conn.execute(_SEND_AGAIN, {"id": delivery_id, "now": now, "give_up_at": give_up_at})
    return changed.first() is not None


async def one(conn: AsyncConnection, delivery_id: UUID) -> Delivery | None:
    """One delivery with its attempts."""
    rows = (await conn.execute(select(table).where(table.c.id == delivery_id))).all()
    return next(iter(await _with_attempts(conn, rows)), None)


async def of_endpoint(
    conn: AsyncConnection, endpoint_id: int, *, limit: int, after: Key | None = None
) -> Page[Delivery]:
    """A page of an endpoint's deliveries with their attempts, newest first."""
    found = (
        select(table)
        .where(table.c.endpoint_id == endpoint_id)
        .order_by(table.c.created_at.desc(), table.c.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        found = found.where(tuple_(table.c.created_at, table.c.id) < tuple_(after.at, after.id))
    rows = (await conn.execute(found)).all()
    items = tuple(await _with_attempts(conn, rows[:limit]))
    return Page(items, Key(items[-1].created_at, items[-1].id) if len(rows) > limit else None)


async def _with_attempts(conn: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Delivery]:
    tried: defaultdict[UUID, list[Attempt]] = defaultdict(list)
    if rows:
        found = (
            select(attempts_table)
            .where(attempts_table.c.delivery_id.in_([row.id for row in rows]))
            .order_by(attempts_table.c.delivery_id, attempts_table.c.number)
        )
        for row in await conn.execute(found):
            tried[row.delivery_id].append(
                Attempt(at=row.at, status=row.status, ms=row.ms, error=row.error, answer=row.answer)
            )
    return [
        Delivery(
            id=row.id,
            endpoint_id=row.endpoint_id,
            type=row.type,
            incident_id=row.incident_id,
            status=row.status,
            created_at=row.created_at,
            due_at=row.due_at,
            attempts=tuple(tried[row.id]),
        )
        for row in rows
    ]


# A claim that lapsed less than a minute ago is of one who has just died.
_OVERDUE = text("""
    select count(*) from deliveries d join endpoints e on e.id = d.endpoint_id
    where d.status = 'pending' and e.removed_at is null and e.disabled_reason is null
        and greatest(d.due_at, d.claimed_until) < clock_timestamp() - interval '60 seconds'
        and not exists (
            select from deliveries p
            where p.endpoint_id = d.endpoint_id and p.incident_id = d.incident_id
                and (p.number, p.repeat) < (d.number, d.repeat) and p.status = 'pending')
        and :per_endpoint > (
            select count(*) from deliveries u
            where u.endpoint_id = d.endpoint_id and u.status = 'pending' and u.claimed_until > clock_timestamp())""")

_SEND_AGAIN = text("""
    update deliveries set status = 'pending', failures = 0, due_at = :now, give_up_at = :give_up_at, claimed_until = null
    where id = :id and status in ('delivered', 'dead') returning id""")
