"""Events as the worker asks for them: those of chunks, those with certain ids, those around a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event, Severity
from service.store.apps import App
from service.store.ids import made_at
from service.store.leases import Lease
from service.store.pending import Pending
from service.store.tables import events, pending


@dataclass(frozen=True, slots=True)
class Kept:
    """An event, and the chunk that its line is kept in."""

    event: Event
    chunk_id: UUID


def read_event(row: Row[Any], *, app: str, environment: str) -> Event:
    """The event that a row of `events` keeps."""
    return Event(
        ts=row.ts,
        received_at=row.received_at,
        app=app,
        environment=environment,
        source=row.source,
        process=row.process,
        dyno=row.dyno,
        kind=row.kind,
        code=row.code,
        severity=Severity(row.severity),
        message=row.message,
        fields=row.fields,
        flags=tuple(row.flags),
        place=row.place,
        id=row.id,
    )


async def of_chunks(
    conn: AsyncConnection, app_id: int, rows: Sequence[Pending], *, app: str, environment: str
) -> list[Event]:
    """The events of the chunks that `rows` name, by receipt."""
    times = [row.received_at for row in rows if row.events]
    if not times:
        return []
    found = await conn.execute(
        select(events)
        .where(
            events.c.app_id == app_id,
            events.c.received_at.between(min(times), max(times)),
            events.c.chunk_id.in_([row.chunk_id for row in rows if row.events]),
        )
        .order_by(events.c.received_at, events.c.id)
    )
    return [read_event(row, app=app, environment=environment) for row in found]


async def folded(conn: AsyncConnection, lease: Lease, *, since: datetime, most: int = 20_000) -> list[Event]:
    """The newest `most` events of the app with times from `since` on that were folded already, in no order."""
    waiting = select(pending.c.chunk_id).where(pending.c.app_id == lease.app_id)
    found = await conn.execute(
        select(events)
        .where(events.c.app_id == lease.app_id, events.c.ts >= since, events.c.chunk_id.not_in(waiting))
        .order_by(events.c.ts.desc())
        .limit(most)
    )
    return [read_event(row, app=lease.app, environment=lease.environment) for row in found]


async def with_ids(
    conn: AsyncConnection, app_id: int, ids: Collection[UUID], *, app: str, environment: str
) -> list[tuple[Event, UUID]]:
    """The events with these ids, each with the id of its chunk."""
    if not ids:
        return []
    # An id is made at receipt and tells the time to the millisecond: only the partitions around it are read.
    times = [made_at(one) for one in ids]
    found = await conn.execute(
        select(events).where(
            events.c.app_id == app_id,
            events.c.received_at.between(min(times) - timedelta(seconds=1), max(times) + timedelta(seconds=1)),
            events.c.id.in_(ids),
        )
    )
    return [(read_event(row, app=app, environment=environment), row.chunk_id) for row in found]


async def between(
    conn: AsyncConnection, app: App, *, since: datetime, until: datetime, kinds: Sequence[str], most: int = 1000
) -> list[Event]:
    """Events of `kinds` of an app with times in [since, until], oldest first."""
    found = await conn.execute(
        select(events)
        .where(events.c.app_id == app.id, events.c.ts.between(since, until), events.c.kind.in_(kinds))
        .order_by(events.c.ts, events.c.id)
        .limit(most)
    )
    return [read_event(row, app=app.name, environment=app.environment) for row in found]


@dataclass(frozen=True, slots=True)
class Span:
    """A dyno of an app, for the time from `since` to `until`."""

    app_id: int
    dyno: str
    since: datetime
    until: datetime


async def with_traceback(conn: AsyncConnection, spans: Sequence[Span]) -> list[int]:
    """The numbers of those `spans` (from 0) in which their dyno has printed a stack trace."""
    if not spans:
        return []
    asked = {
        "apps": [one.app_id for one in spans],
        "dynos": [one.dyno for one in spans],
        "since": [one.since for one in spans],
        "until": [one.until for one in spans],
    }
    return list(await conn.scalars(_WITH_TRACEBACK, asked))


_WITH_TRACEBACK = text("""
    select cast(number - 1 as int) from unnest(cast(:apps as int[]), cast(:dynos as text[]), cast(:since as timestamptz[]),
        cast(:until as timestamptz[])) with ordinality as span (app_id, dyno, since, until, number)
    where exists (
        select from events where events.app_id = span.app_id and kind = 'traceback'
            and ts between span.since and span.until and events.dyno = span.dyno)""")


async def tracebacks(
    conn: AsyncConnection, app_id: int, dyno: str, *, since: datetime, until: datetime, app: str, environment: str
) -> list[Kept]:
    """The stack traces that a dyno has printed with times in [since, until], oldest first."""
    found = await conn.execute(
        select(events)
        .where(
            events.c.app_id == app_id,
            events.c.kind == "traceback",
            events.c.ts.between(since, until),
            events.c.dyno == dyno,
        )
        .order_by(events.c.ts, events.c.id)
        .limit(100)
    )
    return [Kept(read_event(row, app=app, environment=environment), row.chunk_id) for row in found]
