"""Chunks, read: lines newest first by arrival, and the lines around one of them.

A line has no row of its own, only a place: the chunk it came in, and its number there. So a list of lines is a walk over
chunks, each unpacked and read only if its times and processes say that it can hold what is wanted. Chunks are found app
by app along their key; those of several apps are merged by the time of receipt.
"""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import zstandard
from sqlalchemy import ARRAY, Integer, Select, any_, literal, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.frame import read_lines
from parsers.line import Line
from service.store import apps
from service.store.apps import App
from service.store.pages import Key, Page, place_of
from service.store.tables import apps as app_table
from service.store.tables import chunks

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
        rows = list(await conn.execute(_walk(list(known), wanted, after, fetch)))
        for row in rows:
            end = after.number if after and after.id == row.id else row.lines
            lines = await _read(row, known[row.app_id])
            found += [line for line in reversed(lines[:end]) if _is_wanted(line, wanted)]
            if len(found) > limit:
                return Page(tuple(found[:limit]), _key(found[limit - 1].place))
            left -= row.size + _CHUNK_COST
        if len(rows) < fetch:
            break
        after = Key(rows[-1].received_at, rows[-1].id, 0)
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
    query = select(*_COLUMNS).where(
        chunks.c.app_id == app_id, chunks.c.received_at == received_at, chunks.c.id == chunk_id
    )
    row = (await conn.execute(query)).one_or_none()
    if app is None or row is None:
        return []
    lines = await _read(row, app)
    earlier = [line for line in lines[:place] if line.process == process]
    later = [line for line in lines[place + 1 :] if line.process == process]
    if len(earlier) < before:
        earlier = await _neighbours(conn, app, row, process, before - len(earlier), forward=False) + earlier
    if len(later) < after:
        later += await _neighbours(conn, app, row, process, after - len(later), forward=True)
    return earlier[max(0, len(earlier) - before) :] + lines[place : place + 1] + later[:after]


_COLUMNS = (
    chunks.c.app_id,
    chunks.c.received_at,
    chunks.c.id,
    chunks.c.lines,
    chunks.c.processes,
    chunks.c.size,
    chunks.c.body,
)


async def _neighbours(
    conn: AsyncConnection, app: App, own: Any, process: str, limit: int, *, forward: bool
) -> list[KeptLine]:
    """Up to `limit` lines of `process` nearest to the chunk `own` on one side, in the order of arrival."""
    key = tuple_(chunks.c.received_at, chunks.c.id)
    found: list[KeptLine] = []
    last = Key(own.received_at, own.id)
    fetch = _FIRST_FETCH
    while len(found) < limit:
        query = select(*_COLUMNS).where(chunks.c.app_id == app.id, chunks.c.processes.overlap([process])).limit(fetch)
        if forward:
            query = query.where(key > place_of(last), chunks.c.received_at <= own.received_at + _AROUND)
            query = query.order_by(chunks.c.received_at, chunks.c.id)
        else:
            query = query.where(key < place_of(last), chunks.c.received_at >= own.received_at - _AROUND)
            query = query.order_by(chunks.c.received_at.desc(), chunks.c.id.desc())
        rows = list(await conn.execute(query))
        for row in rows:
            lines = [line for line in await _read(row, app) if line.process == process]
            found = found + lines if forward else lines + found
        if len(rows) < fetch:
            break
        last, fetch = Key(rows[-1].received_at, rows[-1].id), min(2 * fetch, _LARGEST_FETCH)
    return found[:limit] if forward else found[-limit:]


def _walk(app_ids: Collection[int], wanted: Wanted, after: Key | None, limit: int) -> Select[Any]:
    newest_first = (chunks.c.received_at.desc(), chunks.c.id.desc())
    each = select(*_COLUMNS).where(chunks.c.app_id == app_table.c.id).order_by(*newest_first).limit(limit)
    if wanted.dyno is not None:
        each = each.where(chunks.c.processes.overlap([wanted.dyno, "router"]))
    if wanted.since is not None:
        each = each.where(chunks.c.last_at >= wanted.since)
        each = each.where(chunks.c.received_at >= max(wanted.since, _BEGINNING) - _CLOCKS_ERR_BY)
    if wanted.until is not None:
        each = each.where(chunks.c.first_at < wanted.until)
    if after is not None:
        # A chunk of which lines are left is walked again; number 0 says that none are.
        key, last = tuple_(chunks.c.received_at, chunks.c.id), place_of(after)
        each = each.where(key <= last if after.number else key < last)
    part = each.lateral("part")
    return (
        select(*(part.c[column.name] for column in _COLUMNS))
        .select_from(app_table)
        .join(part, true())
        .where(app_table.c.id == any_(literal(list(app_ids), ARRAY(Integer))))
        .order_by(part.c.received_at.desc(), part.c.id.desc())
        .limit(limit)
    )


async def _read(row: Any, app: App) -> list[KeptLine]:
    """The chunk's lines, in order, which is that of arrival."""
    return await asyncio.to_thread(_unpack, row, app) if row.size > _LARGE else _unpack(row, app)


def _unpack(row: Any, app: App) -> list[KeptLine]:
    body = zstandard.ZstdDecompressor().decompress(row.body, max_output_size=row.size)
    return [
        KeptLine(
            place=Place(row.received_at, row.id, number),
            app=app.name,
            environment=app.environment,
            ts=line.ts,
            source=line.source,
            process=line.process,
            dyno=dyno_of(line),
            text=line.text,
        )
        for number, line in enumerate(read_lines(body, row.received_at))
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
