"""The chunks in which the lines before, or behind, a place stand: each time one statement, complete up to an edge.

Hard about it: chunks are merged while somebody pages through them. So nothing here is a place among chunks. A place is
that of a line, for good (`parts.py`), and a step asks anew which chunks hold what comes next, and how far what it has is
complete: the lines up to there are read, and the next step begins there, whatever the chunks are by then.

Merged chunks of one app never overlap each other (`merging.py`), but what came late may lie inside one, and the merged
chunks of many apps lie side by side. So the lines of a step's chunks are put in order line by line; and where a step
begins, there is of each app at most one merged chunk that begins before it and ends behind it: it *straddles* the place.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    any_,
    false,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.pages import Key, place_of
from service.store.parts import Part, parts_of
from service.store.tables import apps, chunks

# A merged chunk is of one day.
_MERGED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which chunks: of these apps; in which one of `processes` speaks; received in [received_since, received_until]; in
    which a line may be of [since, until) by its own time. None: all."""

    app_ids: Collection[int]
    processes: Sequence[str] | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as it is kept; `size` is that of its body before compression."""

    app_id: int
    received_at: datetime
    id: UUID
    lines: int
    size: int
    body: bytes
    packed_parts: bytes | None

    @property
    def parts(self) -> Sequence[Part]:
        """What it is made of, in order of arrival."""
        return parts_of(self.received_at, self.id, self.lines, self.size, self.packed_parts)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The chunks in which all lines stand from the place asked for to the part at `edge`, and its; None: to the end."""

    chunks: Sequence[Chunk]
    edge: Key | None


async def older(conn: AsyncConnection, wanted: Filter, *, than: Key | None, limit: int) -> Stretch:
    """Where the lines before a place stand (None: the newest): at most `limit` chunks, and those that straddle it."""
    fresh, merged = _wanted(wanted, merged=False), _wanted(wanted, merged=True)
    if than is not None:
        place = tuple_(*place_of(than))
        # Number 0 says that no line of that chunk is left.
        fresh = fresh.where(chunks.c.received_at <= than.at, _first <= place if than.number else _first < place)
        merged = merged.where(chunks.c.received_at <= than.at, _first <= place, _last < place)
    # By their first parts, since there is an index for that; it is the same order, for they do not overlap.
    each = [one.order_by(_first_at.desc(), _first_id.desc()).limit(limit) for one in (fresh, merged)]
    part = union_all(*each).lateral("part")
    found = _of_apps(wanted.app_ids, part)
    found = found.order_by(_end_at(part.c).desc(), _end_id(part.c).desc()).limit(limit)
    rows = list(await conn.execute(_and_straddling(found, wanted.app_ids, than)))
    counted = [(row.ended_at or row.received_at, row.last_id or row.id) for row in rows if not row.straddles]
    return Stretch([_chunk(row) for row in rows], Key(*min(counted)) if len(counted) == limit else None)


async def newer(conn: AsyncConnection, wanted: Filter, *, than: Key, limit: int) -> Stretch:
    """Where the lines at and behind a place stand: at most `limit` chunks, and those that straddle it."""
    place = tuple_(*place_of(than))
    behind = chunks.c.received_at >= than.at
    fresh = _wanted(wanted, merged=False).where(behind, _first >= place)
    merged = _wanted(wanted, merged=True).where(behind, _first > place)
    each = [one.order_by(_first_at, _first_id).limit(limit) for one in (fresh, merged)]
    part = union_all(*each).lateral("part")
    found = _of_apps(wanted.app_ids, part).order_by(part.c.received_at, part.c.id).limit(limit)
    rows = list(await conn.execute(_and_straddling(found, wanted.app_ids, than)))
    counted = [(row.received_at, row.id) for row in rows if not row.straddles]
    return Stretch([_chunk(row) for row in rows], Key(*max(counted)) if len(counted) == limit else None)


async def holding(conn: AsyncConnection, app_id: int, received_at: datetime, id: UUID) -> Chunk | None:
    """The chunk in which the lines of that commit stand; None where they are kept no longer."""
    place = Key(received_at, id)
    own = select(*_COLUMNS).where(
        chunks.c.app_id == app_id, _not_merged, chunks.c.received_at == received_at, chunks.c.id == id
    )
    both = _and_straddling(own.add_columns(literal(False).label("straddles")), [app_id], place)
    found = [_chunk(row) for row in await conn.execute(both)]
    return next((one for one in found if any(part.key == (received_at, id) for part in one.parts)), None)


_COLUMNS = (
    chunks.c.app_id,
    chunks.c.received_at,
    chunks.c.id,
    chunks.c.ended_at,
    chunks.c.last_id,
    chunks.c.lines,
    chunks.c.size,
    chunks.c.body,
    chunks.c.parts,
)
_first_at, _first_id = chunks.c.received_at, chunks.c.id
_first = tuple_(_first_at, _first_id)
_last = tuple_(chunks.c.ended_at, chunks.c.last_id)
_merged, _not_merged = chunks.c.merged == true(), chunks.c.merged == false()


def _wanted(wanted: Filter, *, merged: bool) -> Select[Any]:
    query = select(*_COLUMNS).where(chunks.c.app_id == apps.c.id, _merged if merged else _not_merged)
    if wanted.processes is not None:
        query = query.where(chunks.c.processes.overlap(list(wanted.processes)))
    if wanted.received_since is not None:
        query = query.where(
            chunks.c.received_at >= wanted.received_since - (_MERGED_WITHIN if merged else timedelta(0))
        )
        if merged:
            query = query.where(chunks.c.ended_at >= wanted.received_since)
    if wanted.received_until is not None:
        query = query.where(chunks.c.received_at <= wanted.received_until)
    if wanted.since is not None:
        query = query.where(chunks.c.last_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(chunks.c.first_at < wanted.until)
    return query


def _of_apps(app_ids: Collection[int], part: Any, *, straddles: bool = False) -> Select[Any]:
    """The rows that `part` gives for each of the apps."""
    return (
        select(*(part.c[column.name] for column in _COLUMNS), literal(straddles).label("straddles"))
        .select_from(apps)
        .join(part, true())
        .where(apps.c.id == any_(literal(list(app_ids), ARRAY(Integer))))
    )


def _and_straddling(found: Select[Any], app_ids: Collection[int], at: Key | None) -> Select[Any] | CompoundSelect[Any]:
    """The rows of `found`, and each app's merged chunk that begins at or before a place and ends there or behind it."""
    if at is None:
        return found
    last_to_begin = (
        select(*_COLUMNS)
        .where(chunks.c.app_id == apps.c.id, _merged, _first <= tuple_(*place_of(at)))
        .where(chunks.c.received_at.between(at.at - _MERGED_WITHIN, at.at))
        .order_by(_first_at.desc(), _first_id.desc())
        .limit(1)
        .lateral("part")
    )
    end = tuple_(last_to_begin.c.ended_at, last_to_begin.c.last_id)
    return union_all(found, _of_apps(app_ids, last_to_begin, straddles=True).where(end >= tuple_(*place_of(at))))


def _end_at(part: Any) -> ColumnElement[datetime]:
    return func.coalesce(part.ended_at, part.received_at)


def _end_id(part: Any) -> ColumnElement[UUID]:
    return func.coalesce(part.last_id, part.id)


def _chunk(row: Any) -> Chunk:
    return Chunk(row.app_id, row.received_at, row.id, row.lines, row.size, row.body, row.parts)
