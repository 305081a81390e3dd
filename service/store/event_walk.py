"""Ways along the indexes of events: which one leads to what is wanted, and from which bound to which.

A list walks the partitions' indexes by `ts` backwards, all at once (Postgres: Merge Append), and stops when its page is full;
for several apps, codes or kinds it walks one range of an index for each and merges.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    Integer,
    Select,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.filters import Node
from parsers.filters.tree import Everything
from service.store import apps
from service.store.apps import App
from service.store.filter_sql import narrowed, where, without, without_apps
from service.store.pages import Key, follows, place_of
from service.store.tables import NOT_OWN, events

# Of each of several ranges at least so many rows are taken in a step.
_SMALLEST_SHARE = 20

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
    """Which events: those that are alike in each value that is given, and in the filter `q`; `since` inclusive and `until`
    exclusive, by the lines' own time."""

    app: str | None = None
    environment: str | None = None
    code: str | None = None
    kind: str | None = None
    dyno: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    errors_only: bool = False
    q: Node = field(default_factory=Everything)


async def walk_of(conn: AsyncConnection, wanted: Wanted) -> "Walk":
    """How the events that are wanted are come by."""
    known = await apps.known(conn, name=wanted.app, environment=wanted.environment)
    outright = narrowed(wanted.q, known)
    kinds = (wanted.kind,) if wanted.kind is not None else outright.kinds
    some = wanted.app is not None or wanted.environment is not None or len(outright.app_ids) < len(known)
    # What is said by the bounds of the walk is not said again: it would make other indexes look as good.
    along, rest = None, wanted
    if wanted.code is not None:
        along, rest = Along(events.c.code, (wanted.code,)), replace(wanted, code=None)
    elif outright.codes is not None:
        along, rest = Along(events.c.code, outright.codes), replace(wanted, q=without(wanted.q, "code"))
    elif wanted.errors_only:
        pass  # they have an index of their own, and are few
    elif wanted.kind is not None:
        along, rest = Along(events.c.kind, (wanted.kind,)), replace(wanted, kind=None)
    elif outright.kinds is not None:
        along, rest = Along(events.c.kind, outright.kinds), replace(wanted, q=without(wanted.q, "kind"))
    app_ids = outright.app_ids if some or along else None
    if app_ids is not None:
        rest = replace(rest, q=without_apps(rest.q))
    return Walk(rest, known, app_ids, along, own_too=kinds is not None)


@dataclass(frozen=True, slots=True)
class Along:
    """A column that stands before the time in an index, and the values of which an event has one."""

    column: Column[Any]
    values: Collection[str]


@dataclass(frozen=True, slots=True)
class Walk:
    """A way along an index to what is `wanted` beyond that: of the apps `app_ids` (None: of all together), `along` a column's
    values where one is given. `own_too`: also events of drainwatch's own."""

    wanted: Wanted
    known: dict[int, App]
    app_ids: Collection[int] | None
    along: Along | None
    own_too: bool

    def rows(self, after: Key | None, limit: int, *, edge: Key | None = None) -> Select[Any]:
        """The first `limit` rows that are wanted behind the place `after`, up to the place `edge`."""
        query = self._wanted(select(*COLUMNS))
        return self._walk(query, after, edge, limit, offset=0).limit(limit)

    def places(self, after: Key | None, step: int) -> Select[Any]:
        """The place some `step` rows behind `after`, whether they are wanted or not, by the index alone: of several ranges the
        first to be walked so far, each by its share."""
        ranges = len(self.app_ids or [1]) * len(self.along.values if self.along else [1])
        share = max(_SMALLEST_SHARE, step // max(1, ranges))
        query = self._indexed(select(events.c.ts, events.c.id), alone=True)
        return self._walk(query, after, None, 1, offset=share - 1).limit(1)

    def _walk(self, query: Select[Any], after: Key | None, edge: Key | None, limit: int, *, offset: int) -> Select[Any]:
        """`query` of the rows between two places, newest first: of each range `limit` behind the first `offset`, together."""
        if self.app_ids is None:
            return self._all_together(query, after, edge).limit(limit).offset(offset)
        values = list(self.along.values) if self.along else []
        if len(self.app_ids) == 1 and len(values) <= 1:
            app = literal(next(iter(self.app_ids)), Integer)
            value = literal(values[0], Text) if values else None
            return self._one_by_one(query, app, value, after, edge).limit(limit).offset(offset)
        apps = _listed(list(self.app_ids), Integer, "app")
        if self.along is None:
            asked, each = apps, self._one_by_one(query, apps.c.item, None, after, edge)
        else:
            # By equality: of bounds that it does not know the planner thinks alike whatever the index.
            each_of = _listed(values, Text, "value")
            query = query.where(events.c.app_id == apps.c.item, self.along.column == each_of.c.item)
            asked, each = apps.join(each_of, true()), self._all_together(query, after, edge)
        part = each.limit(limit).offset(offset).lateral("each")
        rows = select(*part.c).select_from(asked.join(part, true()))
        return rows.order_by(part.c.ts.desc(), part.c.id.desc())

    def _all_together(self, query: Select[Any], after: Key | None, edge: Key | None) -> Select[Any]:
        """Along the index by time, or by what `query` says and time."""
        ts, id = events.c.ts, events.c.id
        query = query.order_by(ts.desc(), id.desc())
        since, until = self._ends(after, edge)
        if since is not None:
            query = query.where(tuple_(ts, id) >= tuple_(*place_of(since)) if isinstance(since, Key) else ts >= since)
        if until is not None:
            query = query.where(follows(ts, id, until) if isinstance(until, Key) else ts < until)
        return query

    def _one_by_one(self, query: Select[Any], app: Any, value: Any, after: Key | None, edge: Key | None) -> Select[Any]:
        """Along the index by app and time, or by app, that column and time, from one bound of it to the other.

        The bounds are rows that begin with the app, and so is the order: `app_id = …` would leave the planner the index by
        time, which it takes where it expects the app's events to be many; where they are few it then reads everybody's.
        """
        ts, id = events.c.ts, events.c.id
        row: tuple[Any, ...] = (events.c.app_id,)
        first: tuple[Any, ...] = (app,)
        if self.along is not None:
            row, first = (*row, self.along.column), (*first, value)
        query = query.order_by(*(one.desc() for one in (*row, ts, id)))
        since, until = (_columns(one) for one in self._ends(after, edge))
        by = (ts, id)
        query = query.where(tuple_(*row, *by[: len(since)]) >= tuple_(*first, *since))
        if until:
            return query.where(tuple_(*row, *by[: len(until)]) < tuple_(*first, *until))
        return query.where(tuple_(*row) <= tuple_(*first))

    def _ends(self, after: Key | None, edge: Key | None) -> tuple[Key | datetime | None, Key | datetime | None]:
        """From where on (inclusive) and up to where (exclusive) the walk goes: of two bounds on a side the narrower one alone.

        With both Postgres begins or ends by the wider one, and reads all entries in between. (Before 18 it does not end by a
        row of columns at all, and reads what there is of the app: 1 ms a week's partition with 10,000 of it.)
        """
        since, until = self.wanted.since, self.wanted.until
        return (
            edge if edge is not None and (since is None or edge.at >= since) else since,
            after if after is not None and (until is None or after.at < until) else until,
        )

    def _wanted(self, query: Select[Any]) -> Select[Any]:
        """`query` of what is wanted alone."""
        query, wanted = self._indexed(query, alone=False), self.wanted
        for name in ("code", "kind", "dyno"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(events.c[name] == value)
        return query if isinstance(wanted.q, Everything) else query.where(where(wanted.q, self.known))

    def _indexed(self, query: Select[Any], *, alone: bool) -> Select[Any]:
        """`query` with what the partial index says, to the letter, else the planner does not see that it will do; `alone`: and
        nothing that it does not say, for which each row would have to be looked at."""
        by_code = self.along is not None and self.along.column is events.c.code
        if by_code:
            query = query.where(events.c.code.is_not(None))  # a comparison of rows does not say it
        if self.wanted.errors_only and not (alone and by_code):
            query = query.where(events.c.severity >= literal_column("3"))
        by_index = not by_code and not self.wanted.errors_only
        if not self.own_too and (by_index or not alone):
            query = query.where(text(NOT_OWN))
        return query


def _columns(end: Key | datetime | None) -> tuple[Any, ...]:
    """What the time, or the time and the id, of a row compare with."""
    if end is None:
        return ()
    return place_of(end) if isinstance(end, Key) else (literal(end, TIMESTAMP(timezone=True)),)


def _listed(items: list[Any], of: type[Any], name: str) -> Any:
    """A table of these items, in its column `item`."""
    return func.unnest(literal(items, ARRAY(of))).table_valued(column("item", of), name=name).render_derived()
