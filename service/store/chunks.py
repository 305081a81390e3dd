"""Chunks, read: lines newest first by arrival, and the lines around one of them.

A line has no row of its own, only a place: the chunk it came in, and its number there; it keeps that when the chunk is
merged with others. So a list of lines is a walk over chunks (`chunk_walk.py`), each unpacked and read only if its times
and processes say that it can hold what is wanted, and of a merged one only the parts that stand where the list goes on.
"""

import asyncio
import heapq
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import zstandard
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.frame import read_lines
from parsers.line import Line
from service.store import apps, chunk_walk
from service.store.apps import App
from service.store.chunk_walk import Chunk, Filter
from service.store.pages import Key, Page
from service.store.parts import Part, PartKey

# Chunks fetched at once: few for a page of one busy app, more where each holds a line or two, or nothing that is wanted.
_FIRST_FETCH, _LARGEST_FETCH = 8, 128
# A page ends here even if it is not full, and says where to go on: at 200 MB/s a core, a third of a second. A chunk that
# is fetched in vain costs about as much as 4 KiB of lines.
_SCAN_BYTES = 64 << 20
_CHUNK_COST = 4 << 10
# A line from the future is looked for where it arrived: in chunks received up to a day before `since`.
_CLOCKS_ERR_BY = timedelta(days=1)
# Lines around another: a dyno that was silent for longer has nothing to tell of it.
_AROUND = timedelta(hours=1)

# Older than anything that was received.
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# Decompressing and reading more than this at once would keep other requests waiting, so it is done in a thread.
_LARGE = 64 << 10
# The parts of several apps' merged chunks come by turns; a merged chunk is half a MiB.
_UNPACKED_AT_ONCE = 16
# No chunk has as many lines.
_ALL = 2**31

_DYNO = re.compile(r"(?!postgres\.)[A-Za-z0-9_-]+\.[0-9]+")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a line is kept: its chunk, and its number there from 0. Places of one app sort by arrival."""

    received_at: datetime
    chunk_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line as it is kept. `ts` is its own time, or that of receipt where its own cannot be read; `dyno` whom it is about,
    if anyone: its process, or the one that a router line names."""

    place: Place
    app: str
    environment: str
    ts: datetime
    source: str
    process: str
    dyno: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those that are alike in each value that is given; `since` inclusive and `until` exclusive, by the lines'
    own time."""

    app: str | None = None
    environment: str | None = None
    dyno: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def latest(conn: AsyncConnection, wanted: Wanted, *, after: Key | None, limit: int) -> Page[KeptLine]:
    """The newest `limit` lines that are wanted, newest first by arrival; those that follow the key `after` where one is given.

    A page may hold fewer, even none, and still name a next one: it ends after 64 MiB of lines.
    """
    known = await apps.known(conn, name=wanted.app, environment=wanted.environment)
    found: list[KeptLine] = []
    fetch, left = _FIRST_FETCH, _SCAN_BYTES
    while known:
        stretch = await chunk_walk.older(conn, _filter(list(known), wanted), than=after, limit=fetch)
        span = _Span(
            since=Place(stretch.edge.at, stretch.edge.id, 0) if stretch.edge else None,
            until=Place(after.at, after.id, after.number) if after else None,
        )
        most = limit + 1 - len(found)
        found += await _read(
            stretch.chunks, known, span, lambda line: _is_wanted(line, wanted), most, newest_first=True
        )
        if len(found) > limit:
            return Page(tuple(found[:limit]), _key(found[limit - 1].place))
        if stretch.edge is None:
            break
        after = stretch.edge
        left -= sum(chunk.size + _CHUNK_COST for chunk in stretch.chunks)
        if left <= 0:
            return Page(tuple(found), after)
        fetch = min(2 * fetch, _LARGEST_FETCH)
    return Page(tuple(found), None)


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
    app = (await apps.known(conn)).get(app_id)
    chunk = await chunk_walk.holding(conn, app_id, received_at, chunk_id)
    if app is None or chunk is None:
        return []
    at, behind = Place(received_at, chunk_id, place), Place(received_at, chunk_id, place + 1)
    own = await _read([chunk], {app.id: app}, _Span(at, behind), lambda _: True, 1, newest_first=False)
    earlier = await _near(conn, app, at, process, before, newest_first=True)
    later = await _near(conn, app, behind, process, after, newest_first=False)
    return earlier[::-1] + own + later


@dataclass(frozen=True, slots=True)
class _Span:
    """Lines from the place `since` on (None: from the first), before the place `until` (None: to the last)."""

    since: Place | None
    until: Place | None

    @property
    def parts(self) -> tuple[PartKey | None, PartKey | None]:
        """The first and the last part in which there may be some of them."""
        first = (self.since.received_at, self.since.chunk_id) if self.since else None
        return first, (self.until.received_at, self.until.chunk_id) if self.until else None

    def holds(self, line: KeptLine) -> bool:
        """Whether `line` is one of them."""
        return (self.since is None or line.place >= self.since) and (self.until is None or line.place < self.until)


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
        span = _Span(edge, at) if newest_first else _Span(at, edge)
        found += await _read(
            stretch.chunks,
            {app.id: app},
            span,
            lambda line: line.process == process and first <= line.place.received_at <= last,
            limit - len(found),
            newest_first=newest_first,
        )
        key, at = stretch.edge, edge or at
        fetch = min(2 * fetch, _LARGEST_FETCH)
    return found


def _filter(app_ids: Sequence[int], wanted: Wanted) -> Filter:
    return Filter(
        app_ids,
        processes=None if wanted.dyno is None else [wanted.dyno, "router"],
        received_since=None if wanted.since is None else max(wanted.since, _BEGINNING) - _CLOCKS_ERR_BY,
        since=wanted.since,
        until=wanted.until,
    )


async def _read(
    found: Sequence[Chunk],
    known: Mapping[int, App],
    span: _Span,
    keep: Callable[[KeptLine], bool],
    most: int,
    *,
    newest_first: bool,
) -> list[KeptLine]:
    """The first `most` lines of the chunks that `span` holds and `keep` keeps, in one order or the other."""
    asked = (found, known, span, keep, most, newest_first)
    return await asyncio.to_thread(_lines, *asked) if sum(chunk.size for chunk in found) > _LARGE else _lines(*asked)


def _lines(
    found: Sequence[Chunk],
    known: Mapping[int, App],
    span: _Span,
    keep: Callable[[KeptLine], bool],
    most: int,
    newest_first: bool,
) -> list[KeptLine]:
    first, last = span.parts
    each = [chunk.pieces(first, last, newest_first=newest_first) for chunk in found]
    bodies: dict[UUID, bytes] = {}
    lines: list[KeptLine] = []
    for piece in heapq.merge(*each, key=lambda piece: piece.part.key, reverse=newest_first):
        part, chunk = piece.part, piece.chunk
        body = bodies.get(chunk.id)
        if body is None:
            body = zstandard.ZstdDecompressor().decompress(chunk.body, max_output_size=chunk.size)
            if len(bodies) == _UNPACKED_AT_ONCE:
                bodies.clear()
            bodies[chunk.id] = body
        of_part = _lines_of(part, body[piece.begin : piece.begin + part.size], known[chunk.app_id])
        for line in reversed(of_part) if newest_first else of_part:
            if span.holds(line) and keep(line):
                lines.append(line)
                if len(lines) == most:
                    return lines
    return lines


def _lines_of(part: Part, body: bytes, app: App) -> list[KeptLine]:
    return [
        KeptLine(
            place=Place(part.received_at, part.id, number),
            app=app.name,
            environment=app.environment,
            ts=line.ts,
            source=line.source,
            process=line.process,
            dyno=dyno_of(line),
            text=line.text,
        )
        for number, line in enumerate(read_lines(body, part.received_at))
    ]


def dyno_of(line: Line) -> str | None:
    """The dyno that a line is about: the one that wrote it, or that a router line names; None where it is about none."""
    if line.process == "router":
        # The last one: a client may have written another into the path before it.
        return line.text.rpartition(" dyno=")[2].partition(" ")[0] or None if " dyno=" in line.text else None
    return line.process if _DYNO.fullmatch(line.process) else None


def _is_wanted(line: KeptLine, wanted: Wanted) -> bool:
    return (
        (wanted.dyno is None or line.dyno == wanted.dyno)
        and (wanted.since is None or line.ts >= wanted.since)
        and (wanted.until is None or line.ts < wanted.until)
    )


def _key(place: Place) -> Key:
    return Key(place.received_at, place.chunk_id, place.number)
