"""Events, read: the newest of them by their own time, and one of them by its id.

A list walks an index (`event_walk.py`). And one event's id says when it was received, to the millisecond, so one partition is
looked at, though events are partitioned by their time of receipt.

What a filter asks for beyond that no index knows. So a list with one goes on in steps, each so many rows along the index,
and ends its page when its time is over, with the place to go on from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, any_, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from parsers.filters.tree import Everything
from service.store import apps
from service.store.apps import App
from service.store.arrivals import Arrival
from service.store.event_walk import COLUMNS, Walk, Wanted, walk_of
from service.store.evidence import read_event
from service.store.ids import made_at
from service.store.pages import Key, Page
from service.store.tables import events

__all__ = ["KeptEvent", "Wanted", "kept_event", "key_of", "latest", "of_arrivals", "one"]

# An event's id is made from its time of receipt, to the millisecond.
_ID_MADE_WITHIN = timedelta(seconds=1)
# Rows that a filter is asked of in one step, and for how long a page goes on taking steps: 2 ms and 60 ms a step.
_FIRST_STEP, _LARGEST_STEP = 2_000, 64_000
_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as it is kept, with its `id`; and where: `event.place` is its line's number in that chunk of that app."""

    event: Event
    app_id: int
    chunk_id: UUID


async def latest(
    conn: AsyncConnection, wanted: Wanted, *, after: Key | None, limit: int, seconds: float = _SECONDS
) -> Page[KeptEvent]:
    """The newest `limit` events that are wanted, newest first; those that follow the key `after` where one is given.

    Where a filter is asked of many events and holds of few, a page may hold fewer, even none, and still name a next one: it
    ends after so many `seconds`.
    """
    walk = await walk_of(conn, wanted)
    known = walk.known
    deadline, step = monotonic() + seconds, _FIRST_STEP
    found: list[Any] = []
    while True:
        edge = None if isinstance(walk.wanted.q, Everything) else await _edge(conn, walk, after, step)
        found += await conn.execute(walk.rows(after, limit + 1 - len(found), edge=edge))
        if not all(row.app_id in known for row in found):
            known = await apps.known(conn)  # an app of theirs is new
        if len(found) > limit or edge is None or monotonic() > deadline:
            kept = tuple(kept_event(row, known) for row in found[:limit])
            return Page(kept, key_of(kept[-1]) if len(found) > limit else edge)
        after, step = edge, min(4 * step, _LARGEST_STEP)


async def _edge(conn: AsyncConnection, walk: Walk, after: Key | None, step: int) -> Key | None:
    """The place of the row so many steps on, whether it is in the filter or not; None where there are not as many."""
    row = (await conn.execute(walk.places(after, step))).one_or_none()
    return Key(row.ts, row.id) if row else None


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


async def of_arrivals(conn: AsyncConnection, found: Sequence[Arrival]) -> dict[UUID, list[KeptEvent]]:
    """The events of what arrived, by chunk (one that arrived alone by its id), in the order of their lines."""
    asked = {
        "apps": [one.app_id for one in found],
        "times": [one.received_at for one in found],
        "chunks": [one.chunk_id for one in found],
    }
    rows = (await conn.execute(_OF_ARRIVALS, asked)).all()
    known = await apps.known(conn)
    of_chunk: dict[UUID, list[KeptEvent]] = {}
    for row in rows:
        of_chunk.setdefault(row.arrived_as, []).append(kept_event(row, known))
    return of_chunk


_OF_ARRIVALS = text(f"""
    select {", ".join(f"events.{one.name}" for one in COLUMNS)}, asked.chunk as arrived_as
    from unnest(cast(:apps as int[]), cast(:times as timestamptz[]), cast(:chunks as uuid[])) as asked (app, at, chunk)
    join events on events.app_id = asked.app and events.received_at = asked.at
        and (events.id = asked.chunk or events.chunk_id = asked.chunk and not exists (
            select from arrivals as alone where alone.chunk_id = events.id and alone.events < 0))
    order by place, events.id
""").columns(*COLUMNS, arrived_as=Uuid)  # noqa: S608 - of fixed pieces


def kept_event(row: Any, known: dict[int, App]) -> KeptEvent:
    """The event in a row of `COLUMNS`, whose app is among `known`."""
    app = known[row.app_id]
    return KeptEvent(read_event(row, app=app.name, environment=app.environment), row.app_id, row.chunk_id)


def key_of(kept: KeptEvent) -> Key:
    """The event's place in a list."""
    assert kept.event.id is not None
    return Key(kept.event.ts, kept.event.id)
