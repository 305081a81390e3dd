"""Traffic: a row for each app and minute, kept by the worker, and what of it is still on its way.

An ingest commit leaves what it adds in its `pending` row, so that commits do not wait for each other at one row and a repeat
adds nothing; the worker, alone at an app by its lease, adds it up. Who asks in between adds up both.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, Row, any_, literal, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.times import unpack_times
from parsers.traffic import Minute, unpack
from service.store.tables import traffic


@dataclass(frozen=True, slots=True)
class KeptMinute:
    """An app's minute from `at` on. Once closed (`closed_at`) it has become a heartbeat, and a traffic event if it has
    requests; the heartbeat may have been made before."""

    at: datetime
    counts: Minute
    closed_at: datetime | None = None
    heartbeat_id: UUID | None = None
    traffic_id: UUID | None = None


async def kept(conn: AsyncConnection, app_id: int, minutes: Collection[datetime]) -> dict[datetime, KeptMinute]:
    """The app's rows of these minutes, as far as there are any, and of all that are open."""
    wanted: ColumnElement[bool] = traffic.c.closed_at.is_(None)
    if minutes:
        wanted = or_(wanted, traffic.c.minute == any_(literal(list(minutes), ARRAY(TIMESTAMP(timezone=True)))))
    rows = await conn.execute(select(traffic).where(traffic.c.app_id == app_id, wanted))
    return {
        row.minute: KeptMinute(row.minute, _counts(row), row.closed_at, row.heartbeat_id, row.traffic_id)
        for row in rows
    }


async def between(
    conn: AsyncConnection, app_ids: Collection[int], *, since: datetime, until: datetime
) -> list[tuple[datetime, Minute]]:
    """The minutes of these apps that begin in [since, until), each as often as it is kept or on its way. Asked in one query, so
    that what is folded meanwhile is seen neither twice nor not at all."""
    rows = await conn.execute(_BETWEEN, {"apps": list(app_ids), "since": since, "until": until})
    found: list[tuple[datetime, Minute]] = []
    for row in rows:
        if row.packed is None:
            found.append((row.minute, _counts(row)))
        else:
            found += [(at, counts) for at, counts in unpack(row.packed).items() if since <= at < until]
    return found


_BETWEEN = text("""
    select minute, lines, requests, errors, bytes, by_status, by_code, service, connect, null as packed
    from traffic where app_id = any(:apps) and minute >= :since and minute < :until and requests > 0
    union all
    select null, null, null, null, null, null, null, null, null, traffic
    from pending where app_id = any(:apps) and traffic <> ''
""").columns(by_status=JSONB, by_code=JSONB, packed=LargeBinary)


def _counts(row: Row[Any]) -> Minute:
    return Minute(
        lines=row.lines,
        requests=row.requests,
        errors=row.errors,
        bytes=row.bytes,
        by_status=row.by_status,
        by_code=row.by_code,
        service=unpack_times(row.service),
        connect=unpack_times(row.connect),
    )
