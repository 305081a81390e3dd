"""Where webhooks go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Update, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Severity
from service.store.tables import deliveries
from service.store.tables import endpoints as table

# The one that is told that drainwatch is alive, and nothing else.
HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint with all its secrets, which its `repr` leaves out. `match` is filter text, `types` None for all,
    `min_severity` None for any, `escalations` whether it wants them; it is reminded each `repeat_s` seconds (None: never), and
    left alone in `quiet_hours` (`22:00-07:00 Europe/Berlin`); `disabled_reason` is None while it is enabled, `failing_since`
    is None unless every attempt since then has failed."""

    id: int
    url: str = field(repr=False)
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: datetime | None
    format: str
    match: str
    types: tuple[str, ...] | None
    allow_private: bool
    disabled_reason: str | None
    created_at: datetime
    routing_key: str | None = field(default=None, repr=False)
    min_severity: Severity | None = None
    escalations: bool = True
    repeat_s: int | None = None
    quiet_hours: str | None = None
    failing_since: datetime | None = None


async def add(
    conn: AsyncConnection,
    *,
    url: str,
    secret: str,
    format: str,
    match: str,
    types: Sequence[str] | None,
    allow_private: bool,
    routing_key: str | None = None,
    min_severity: Severity | None = None,
    escalations: bool = True,
    repeat_s: int | None = None,
    quiet_hours: str | None = None,
) -> EndpointRow:
    """The new endpoint."""
    added = insert(table).values(
        url=url,
        secret=secret,
        format=format,
        match=match,
        types=None if types is None else list(types),
        allow_private=allow_private,
        routing_key=routing_key,
        min_severity=None if min_severity is None else int(min_severity),
        escalations=escalations,
        repeat_s=repeat_s,
        quiet_hours=quiet_hours,
    )
    return _endpoint((await conn.execute(added.returning(table))).one())


async def one(conn: AsyncConnection, endpoint_id: int) -> EndpointRow | None:
    """The endpoint, or None where there is none or it was removed."""
    found = select(table).where(table.c.id == endpoint_id, table.c.removed_at.is_(None))
    row = (await conn.execute(found)).one_or_none()
    return None if row is None else _endpoint(row)


async def listed(conn: AsyncConnection) -> list[EndpointRow]:
    """All that were not removed, in the order in which they were added."""
    found = select(table).where(table.c.removed_at.is_(None)).order_by(table.c.id)
    return [_endpoint(row) for row in await conn.execute(found)]


async def receiving(conn: AsyncConnection) -> list[EndpointRow]:
    """Those that incidents are told: neither removed nor disabled, and neither can happen to them before the transaction
    ends."""
    found = (
        select(table)
        .where(table.c.removed_at.is_(None), table.c.disabled_reason.is_(None), table.c.format != HEARTBEAT)
        .order_by(table.c.id)
        .with_for_update(read=True)
    )
    return [_endpoint(row) for row in await conn.execute(found)]


async def replace_secret(conn: AsyncConnection, endpoint_id: int, *, secret: str, previous_until: datetime) -> bool:
    """Makes `secret` the endpoint's own and lets the one before it sign until `previous_until`; whether there is such an
    endpoint. An older third one is forgotten."""
    return await _changed(
        conn,
        _present(endpoint_id).values(previous_secret=table.c.secret, previous_until=previous_until, secret=secret),
    )


async def change(conn: AsyncConnection, endpoint_id: int, wishes: Mapping[str, Any]) -> bool:
    """Sets some of `match`, `types`, `min_severity`, `escalations`, `repeat_s` and `quiet_hours`; whether there is such an
    endpoint."""
    return await _changed(conn, _present(endpoint_id).values(dict(wishes)))


async def disable(conn: AsyncConnection, endpoint_id: int, *, reason: str) -> bool:
    """Stops telling the endpoint, and ends what is owed to it; whether it was enabled until now."""
    stopped = await _changed(
        conn, _present(endpoint_id).where(table.c.disabled_reason.is_(None)).values(disabled_reason=reason)
    )
    if stopped:
        await _end_deliveries(conn, endpoint_id)
    return stopped


async def enable(conn: AsyncConnection, endpoint_id: int) -> bool:
    """Tells the endpoint again, from the next transition on; whether there is such an endpoint."""
    return await _changed(conn, _present(endpoint_id).values(disabled_reason=None, failing_since=None))


async def note_success(conn: AsyncConnection, endpoint_id: int) -> None:
    """An attempt has succeeded. Locks the endpoint where it had been failing."""
    await conn.execute(
        _present(endpoint_id).where(table.c.failing_since.is_not(None)).values(failing_since=None),
    )


async def note_failure(conn: AsyncConnection, endpoint_id: int, *, at: datetime) -> datetime:
    """An attempt has failed at that time; since when all have. Locks the endpoint if this is the first."""
    await conn.execute(_present(endpoint_id).where(table.c.failing_since.is_(None)).values(failing_since=at))
    since = (await conn.execute(select(table.c.failing_since).where(table.c.id == endpoint_id))).scalar_one_or_none()
    return since or at


async def remove(conn: AsyncConnection, endpoint_id: int) -> bool:
    """Stops telling the endpoint for good and forgets its secrets, ends what is owed to it; whether there was one. Its
    deliveries stay readable."""
    gone = await _changed(
        conn,
        _present(endpoint_id).values(removed_at=func.now(), secret="", previous_secret=None, url="", routing_key=None),
    )
    if gone:
        await _end_deliveries(conn, endpoint_id)
    return gone


async def _end_deliveries(conn: AsyncConnection, endpoint_id: int) -> None:
    # "dead", so that they can be sent again should the endpoint come back.
    await conn.execute(
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.status == "pending")
        .values(status="dead", claimed_until=None)
    )


def _present(endpoint_id: int) -> Update:
    return update(table).where(table.c.id == endpoint_id, table.c.removed_at.is_(None))


async def _changed(conn: AsyncConnection, change: Update) -> bool:
    return (await conn.execute(change.returning(table.c.id))).first() is not None


def _endpoint(row: Row[Any]) -> EndpointRow:
    return EndpointRow(
        id=row.id,
        url=row.url,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        format=row.format,
        match=row.match,
        types=None if row.types is None else tuple(row.types),
        allow_private=row.allow_private,
        routing_key=row.routing_key,
        min_severity=None if row.min_severity is None else Severity(row.min_severity),
        escalations=row.escalations,
        repeat_s=row.repeat_s,
        quiet_hours=row.quiet_hours,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )
