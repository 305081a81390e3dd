"""Chunks, read: lines newest first by arrival, and the lines around one of them.

A line has no row of its own, only a place: the chunk it came in, and its number there; it keeps that when the chunk is
merged with others. So a list of lines is a walk over chunks (`chunk_walk.py`), each unpacked and read only if its times
and processes say that it can hold what is wanted, and of a merged one only the parts that stand where the list goes on
(`chunk_scan.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.filters import Node
from parsers.filters.tree import Everything
from service.store import apps, chunk_walk
from service.store.apps import App
from service.store.arrivals import Arrival
from service.store.chunk_scan import KeptLine, Place, Sieve, Span, scan, sieve
from service.store.chunk_walk import Filter, Stretch
from service.store.filter_sql import narrowed, one_of
from service.store.pages import Key, Page

__all__ = ["Budget", "KeptLine", "Place", "Wanted", "around", "latest", "of_arrivals"]

# Chunks fetched at once: few for a page of one busy app, more where each holds a line or two, or nothing that is wanted.
_FIRST_FETCH, _LARGEST_FETCH, _FETCH_BYTES = 8, 128, 64 << 20
# A chunk that is fetched in vain costs about as much as 4 KiB of lines.
_CHUNK_COST = 4 << 10
# A line from the future is looked for where it arrived: in chunks received up to a day before `since`.
_CLOCKS_ERR_BY = timedelta(days=1)
# Lines around another: a dyno that was silent for longer has nothing to tell of it.
_AROUND = timedelta(hours=1)

# Older than anything that was received.
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# No chunk has as many lines.
_ALL = 2**31


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those that are alike in each value that is given, and in the filter `q`; `since` inclusive and `until`
    exclusive, by the lines' own time."""

    app: str | None = None
    environment: str | None = None
    dyno: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: Node = field(default_factory=Everything)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent on one page: bytes of lines that are looked through, and seconds."""

    # 200 MB/s a core where each line is read, 1,100 on two where the filter says what must occur: the seconds end a page.
    scan_bytes: int = 1 << 30
    seconds: float = 1.0


async def latest(
    conn: AsyncConnection, wanted: Wanted, *, after: Key | None, limit: int, budget: Budget | None = None
) -> Page[KeptLine]:
    """The newest `limit` lines that are wanted, newest first by arrival; those that follow the key `after` where one is given.

    A page may hold fewer, even none, and still name a next one: it ends when the budget is spent.
    """
    budget = budget or Budget()
    deadline, left = monotonic() + budget.seconds, budget.scan_bytes
    known = await apps.known(conn, name=wanted.app, environment=wanted.environment)
    known = {app_id: known[app_id] for app_id in narrowed(wanted.q, known).app_ids}
    if not known:
        return Page((), None)
    lines, which = sieve(wanted.q, lambda line: _is_wanted(line, wanted)), _filter(list(known), wanted)
    found: list[KeptLine] = []
    fetch = _FIRST_FETCH
    stretch = await chunk_walk.older(conn, which, than=after, limit=fetch)
    while True:
        fetch = _next_fetch(fetch, stretch)
        span = Span(
            since=Place(stretch.edge.at, stretch.edge.id, 0) if stretch.edge else None,
            until=Place(after.at, after.id, after.number) if after else None,
        )
        async with _ahead(conn, which, stretch, fetch if lines.requirements else 0) as coming:
            most = limit + 1 - len(found)
            scanned = await scan(stretch.chunks, known, span, lines, most, newest_first=True, until=deadline)
        found += scanned.lines
        if len(found) > limit:
            return Page(tuple(found[:limit]), _key(found[limit - 1].place))
        if scanned.ended is not None:
            at, chunk_id = scanned.ended
            return Page(tuple(found), Key(at, chunk_id, _ALL))
        if stretch.edge is None:
            return Page(tuple(found), None)
        after = stretch.edge
        left -= sum(chunk.size + _CHUNK_COST for chunk in stretch.chunks)
        if left <= 0 or monotonic() > deadline:
            return Page(tuple(found), after)
        stretch = await coming if coming else await chunk_walk.older(conn, which, than=after, limit=fetch)


def _next_fetch(fetch: int, stretch: Stretch) -> int:
    """How many chunks the next stretch has at most: twice as many, unless they are so large that it would fill the memory."""
    size = sum(chunk.size for chunk in stretch.chunks) // max(1, len(stretch.chunks))
    return min(2 * fetch, _LARGEST_FETCH, max(_FIRST_FETCH, _FETCH_BYTES // max(1, size)))


@asynccontextmanager
async def _ahead(
    conn: AsyncConnection, which: Filter, stretch: Stretch, fetch: int
) -> AsyncIterator["asyncio.Task[Stretch] | None"]:
    """The stretch behind `stretch`, on its way while that one is looked through; None where it ends, or `fetch` is 0."""
    if stretch.edge is None or not fetch:
        yield None
        return
    coming = asyncio.create_task(chunk_walk.older(conn, which, than=stretch.edge, limit=fetch))
    try:
        yield coming
    finally:
        await asyncio.wait([coming])  # the connection is in use until then


async def of_arrivals(
    conn: AsyncConnection, found: Sequence[Arrival], known: Mapping[int, App]
) -> dict[UUID, list[KeptLine]]:
    """The lines of what arrived, by the chunk they came in, in their order; none of what is kept no longer."""
    chunks = await chunk_walk.holding_each(conn, [(one.app_id, one.received_at, one.chunk_id) for one in found])
    of_chunk: dict[UUID, list[KeptLine]] = {}
    for one, chunk in zip(found, chunks, strict=True):
        if chunk is not None and one.app_id in known:
            span = Span(Place(one.received_at, one.chunk_id, 0), Place(one.received_at, one.chunk_id, _ALL))
            scanned = await scan([chunk], known, span, Sieve(lambda _: True), _ALL, newest_first=False)
            of_chunk[one.chunk_id] = scanned.lines
    return of_chunk


async def around(
    conn: AsyncConnection,
    app_id: int,
    received_at: datetime,
    chunk_id: UUID,
    place: int,
    process: str,
    before: int = 20,
    after: int = 20,
) -> list[KeptLine]:
    """The line at that place of that chunk, and the `before` and `after` nearest lines of `process` on either side, in the
    order of arrival, also from the chunks beside it; empty where the chunk is kept no longer."""
    app = await apps.one(conn, app_id)
    chunk = await chunk_walk.holding(conn, app_id, received_at, chunk_id)
    if app is None or chunk is None:
        return []
    at, behind = Place(received_at, chunk_id, place), Place(received_at, chunk_id, place + 1)
    scanned = await scan([chunk], {app.id: app}, Span(at, behind), Sieve(lambda _: True), 1, newest_first=False)
    earlier = await _near(conn, app, at, process, before, newest_first=True)
    later = await _near(conn, app, behind, process, after, newest_first=False)
    return earlier[::-1] + scanned.lines + later


async def _near(
    conn: AsyncConnection, app: App, at: Place, process: str, limit: int, *, newest_first: bool
) -> list[KeptLine]:
    """Up to `limit` lines of `process` nearest to a place, at most an hour away: before it newest first, or from it on."""
    walk = chunk_walk.older if newest_first else chunk_walk.newer
    first, last = at.received_at - _AROUND, at.received_at + _AROUND
    near = Filter([app.id], [process], first, last)
    found: list[KeptLine] = []
    key: Key | None = _key(at)
    fetch = _FIRST_FETCH
    while key and len(found) < limit:
        stretch = await walk(conn, near, than=key, limit=fetch)
        number = 0 if newest_first else _ALL
        edge = Place(stretch.edge.at, stretch.edge.id, number) if stretch.edge else None
        span = Span(edge, at) if newest_first else Span(at, edge)
        scanned = await scan(
            stretch.chunks,
            {app.id: app},
            span,
            Sieve(lambda line: line.process == process and first <= line.place.received_at <= last),
            limit - len(found),
            newest_first=newest_first,
        )
        found += scanned.lines
        key, at = stretch.edge, edge or at
        fetch = min(2 * fetch, _LARGEST_FETCH)
    return found


def _filter(app_ids: Sequence[int], wanted: Wanted) -> Filter:
    return Filter(
        app_ids,
        processes=_processes(wanted),
        received_since=None if wanted.since is None else max(wanted.since, _BEGINNING) - _CLOCKS_ERR_BY,
        since=wanted.since,
        until=wanted.until,
    )


def _processes(wanted: Wanted) -> list[str] | None:
    """Who writes lines that may be wanted: the dyno, or the router about it. None: anyone."""
    dynos = one_of(wanted.q, "dyno") if wanted.dyno is None else (wanted.dyno,)
    if dynos is not None:
        return [*dynos, "router"]
    processes = one_of(wanted.q, "process")
    return None if processes is None else list(processes)


def _is_wanted(line: KeptLine, wanted: Wanted) -> bool:
    return (
        (wanted.dyno is None or line.dyno == wanted.dyno)
        and (wanted.since is None or line.ts >= wanted.since)
        and (wanted.until is None or line.ts < wanted.until)
    )


def _key(place: Place) -> Key:
    return Key(place.received_at, place.chunk_id, place.number)
