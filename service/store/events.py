"""Events, read: the newest of them by their own time, and one of them by its id.

Two things make that fast while events are partitioned by their time of receipt. A list walks the partitions' indexes by
`ts` backwards, all at once (Postgres: Merge Append), and stops when its page is full; for several apps it walks one index
for each and merges. And one event's id says when it was received, to the millisecond, so one partition is looked at.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Select, any_, literal, literal_column, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from service.store import apps
from service.store.apps import App
from service.store.evidence import read_event
from service.store.ids import made_at
from service.store.pages import Key, Page, follows, place_of
from service.store.tables import NOT_OWN, events
from service.store.tables import apps as app_table

# An event's id is made from its time of receipt, to the millisecond.
_ID_MADE_WITHIN = timedelta(seconds=1)

COLUMNS = (
    events.c.app_id,
    events.c.received_at,
    events.c.id,
    events.c.ts,
    events.c.kind,
    events.c.code,
    events.c.severity,
    events.c.source,
    events.c.process,
    events.c.dyno,
    events.c.message,
    events.c.fields,
    events.c.flags,
    events.c.chunk_id,
    events.c.place,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: those that are alike in each value that is given; `since` inclusive and `until` exclusive, by the lines'
    own time."""

    app: str | None = None
    environment: str | None = None
    code: str | None = None
    kind: str | None = None
    dyno: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    errors_only: bool = False


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as it is kept, with its `id`; and where: `event.place` is its line's number in that chunk of that app."""

    event: Event
    app_id: int
    chunk_id: UUID


async def latest(conn: AsyncConnection, wanted: Wanted, *, after: Key | None, limit: int) -> Page[KeptEvent]:
    """The newest `limit` events that are wanted, newest first; those that follow the key `after` where one is given."""
    if wanted.app is None and wanted.environment is None and not _by_kind(wanted):
        rows = list(await conn.execute(_walk(wanted, after, limit + 1)))
        known = await apps.known(conn)  # after the rows: an app of theirs may be new
    else:
        known = await apps.known(conn, name=wanted.app, environment=wanted.environment)
        rows = list(await conn.execute(_walk_apps(known, wanted, after, limit + 1)))
    found = tuple(kept_event(row, known) for row in rows[:limit])
    return Page(found, key_of(found[-1]) if len(rows) > limit else None)


async def one(conn: AsyncConnection, event_id: UUID) -> KeptEvent | None:
    """The event with that id, or None where there is none, or none any more."""
    known = await apps.known(conn)
    try:
        at = made_at(event_id)
        begin, end = at - _ID_MADE_WITHIN, at + _ID_MADE_WITHIN
    except OverflowError:  # no id of ours: it would be from after the year 9999
        return None
    query = select(*COLUMNS).where(
        events.c.app_id == any_(literal(list(known), ARRAY(Integer))),
        events.c.received_at.between(begin, end),
        events.c.id == event_id,
    )
    row = (await conn.execute(query)).one_or_none()
    return kept_event(row, known) if row else None


def kept_event(row: Any, known: dict[int, App]) -> KeptEvent:
    """The event in a row of `COLUMNS`, whose app is among `known`."""
    app = known[row.app_id]
    return KeptEvent(read_event(row, app=app.name, environment=app.environment), row.app_id, row.chunk_id)


def key_of(kept: KeptEvent) -> Key:
    """The event's place in a list."""
    assert kept.event.id is not None
    return Key(kept.event.ts, kept.event.id)


def _walk(wanted: Wanted, after: Key | None, limit: int) -> Select[Any]:
    """Along the index by time, all apps together."""
    query = _alike(wanted).order_by(events.c.ts.desc(), events.c.id.desc()).limit(limit)
    if wanted.since is not None:
        query = query.where(events.c.ts >= wanted.since)
    if wanted.until is not None:
        query = query.where(events.c.ts < wanted.until)
    if after is not None:
        query = query.where(follows(events.c.ts, events.c.id, after))
    return query


def _walk_apps(app_ids: Collection[int], wanted: Wanted, after: Key | None, limit: int) -> Select[Any]:
    if len(app_ids) == 1:
        return _walk_app(literal(next(iter(app_ids)), Integer), wanted, after, limit)
    each = _walk_app(app_table.c.id, wanted, after, limit).lateral("each")
    return (
        select(*(each.c[column.name] for column in COLUMNS))
        .select_from(app_table)
        .join(each, true())
        .where(app_table.c.id == any_(literal(list(app_ids), ARRAY(Integer))))
        .order_by(each.c.ts.desc(), each.c.id.desc())
        .limit(limit)
    )


def _walk_app(app: Any, wanted: Wanted, after: Key | None, limit: int) -> Select[Any]:
    """Along the index by app and time, from one bound of it to the other.

    The bounds are rows that begin with the app, and so is the order: `app_id = …` would leave the planner the index by
    time, which it takes where it expects the app's events to be many; where they are few it then reads everybody's.
    """
    ts, id = events.c.ts, events.c.id
    row: tuple[Any, ...] = (events.c.app_id,)
    first: tuple[Any, ...] = (app,)
    if _by_kind(wanted):  # and likewise along the index by app, kind and time
        row, first = (*row, events.c.kind), (*first, literal(wanted.kind))
    query = _alike(wanted).order_by(*(column.desc() for column in (*row, ts, id))).limit(limit)
    since = () if wanted.since is None else (literal(wanted.since, TIMESTAMP(timezone=True)),)
    until = () if wanted.until is None else (literal(wanted.until, TIMESTAMP(timezone=True)),)
    query = query.where(tuple_(*row, *(ts for _ in since)) >= tuple_(*first, *since))
    query = query.where(tuple_(*row, ts) < tuple_(*first, *until) if until else tuple_(*row) <= tuple_(*first))
    if after is not None:
        query = query.where(tuple_(*row, ts, id) < tuple_(*first, *place_of(after)))
    return query


def _by_kind(wanted: Wanted) -> bool:
    """Whether the index by app, kind and time serves best. Errors have an index of their own, and are few."""
    return wanted.kind is not None and not wanted.errors_only


def _alike(wanted: Wanted) -> Select[Any]:
    query = select(*COLUMNS)
    if wanted.errors_only:
        # To the letter as the partial index has it, else the planner does not see that the index will do.
        query = query.where(events.c.severity >= literal_column("3"))
    for column, value in ((events.c.code, wanted.code), (events.c.kind, wanted.kind), (events.c.dyno, wanted.dyno)):
        if value is not None:
            query = query.where(column == value)
    if wanted.kind is None:
        query = query.where(text(NOT_OWN))
    return query
