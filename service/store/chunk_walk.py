"""The chunks in which the lines before, or behind, a place stand: each time one statement, complete up to an edge.

Hard about it: chunks are merged while somebody pages through them. So nothing here is a place among chunks. A place is
that of a line, for good (`parts.py`), and a step asks anew which chunks hold what comes next, and how far what it has is
complete: the lines up to there are read, and the next step begins there, whatever the chunks are by then.

Merged chunks of one app never overlap each other (`merging.py`), but what came late may lie inside one, and the merged
chunks of many apps lie side by side. So the lines of a step's chunks are put in order line by line; and where a step
begins, there is of each app at most one merged chunk that begins before it and ends behind it: it *straddles* the place.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.pages import Key
from service.store.parts import Part, PartKey, unpack

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

    def pieces(
        self, since: PartKey | None = None, until: PartKey | None = None, *, newest_first: bool = False
    ) -> "Iterator[Piece]":
        """What it is made of from one key to another (None: all of it), in order of arrival or backwards. A chunk that is not
        merged is its only part."""
        if self.packed_parts is not None:
            for part, begin in unpack(self.packed_parts, since=since, until=until, newest_first=newest_first):
                yield Piece(part, begin, self)
            return
        part = Part(self.received_at, self.id, self.lines, self.size)
        if (since is None or part.key >= since) and (until is None or part.key <= until):
            yield Piece(part, 0, self)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a chunk, whose lines begin at that byte of its body."""

    part: Part
    begin: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Stretch:
    """The chunks in which all lines stand from the place asked for to the part at `edge`, and its; None: to the end."""

    chunks: Sequence[Chunk]
    edge: Key | None


async def older(conn: AsyncConnection, wanted: Filter, *, than: Key | None, limit: int) -> Stretch:
    """Where the lines before a place stand (None: the newest): at most `limit` chunks, and those that straddle it."""
    fresh, merged = _conditions(wanted)
    if than is not None:
        # Number 0 says that no line of that chunk is left.
        fresh += f" and received_at <= :at and (received_at, id) {'<=' if than.number else '<'} (:at, :id)"
        merged += " and received_at <= :at and (received_at, id) <= (:at, :id) and (ended_at, last_id) < (:at, :id)"
    found = _FOUND.format(
        fresh=fresh,
        merged=merged,
        # By their first parts, for there is an index; it is the same order, since they do not overlap.
        along="received_at desc, id desc",
        order="coalesce(ended_at, received_at) desc, coalesce(last_id, id) desc",
    )
    rows = await _rows(conn, found, wanted, than, limit)
    counted = [(row.ended_at or row.received_at, row.last_id or row.id) for row in rows if not row.straddles]
    return Stretch([_chunk(row) for row in rows], Key(*min(counted)) if len(counted) == limit else None)


async def newer(conn: AsyncConnection, wanted: Filter, *, than: Key, limit: int) -> Stretch:
    """Where the lines at and behind a place stand: at most `limit` chunks, and those that straddle it."""
    fresh, merged = _conditions(wanted)
    fresh += " and received_at >= :at and (received_at, id) >= (:at, :id)"
    merged += " and received_at >= :at and (received_at, id) > (:at, :id)"
    found = _FOUND.format(fresh=fresh, merged=merged, along="received_at, id", order="received_at, id")
    rows = await _rows(conn, found, wanted, than, limit)
    counted = [(row.received_at, row.id) for row in rows if not row.straddles]
    return Stretch([_chunk(row) for row in rows], Key(*max(counted)) if len(counted) == limit else None)


async def holding(conn: AsyncConnection, app_id: int, received_at: datetime, id: UUID) -> Chunk | None:
    """The chunk in which the lines of that commit stand; None where they are kept no longer."""
    rows = await _rows(conn, _OWN, Filter([app_id]), Key(received_at, id), 1)
    own = (received_at, id)
    return next((chunk for chunk in map(_chunk, rows) if any(chunk.pieces(own, own))), None)


async def holding_each(conn: AsyncConnection, places: Sequence[tuple[int, datetime, UUID]]) -> list[Chunk | None]:
    """The same of several commits: of each by its app, its time of receipt and its chunk's id."""
    apps, times, ids = zip(*places, strict=True)
    rows = await conn.execute(text(_EACH), {"apps": list(apps), "times": list(times), "ids": list(ids)})
    found = {(row.app_id, row.received_at, row.id): _chunk(row) for row in rows}
    return [found.get(place) or await holding(conn, *place) for place in places]


async def _rows(conn: AsyncConnection, found: str, wanted: Filter, at: Key | None, limit: int) -> Sequence[Any]:
    """The rows that the statement `found` gives, and those that straddle the place; all in one statement, that sees the chunks
    at one moment."""
    asked: dict[str, Any] = {"apps": list(wanted.app_ids), "limit": limit}
    if wanted.processes is not None:
        asked["processes"] = list(wanted.processes)
    if wanted.received_since is not None:
        asked |= {
            "received_since": wanted.received_since,
            "received_day_before": wanted.received_since - _MERGED_WITHIN,
        }
    asked |= {
        name: value for name in ("received_until", "since", "until") if (value := getattr(wanted, name)) is not None
    }
    if at is not None:
        found += _STRADDLING
        asked |= {"at": at.at, "id": at.id, "day_before": at.at - _MERGED_WITHIN}
    return (await conn.execute(text(found), asked)).all()


def _conditions(wanted: Filter) -> tuple[str, str]:
    """What chunks that are not merged have to satisfy, and merged ones."""
    alike = ""
    if wanted.processes is not None:
        alike += " and processes && cast(:processes as text[])"
    if wanted.since is not None:
        alike += " and last_at >= :since"
    if wanted.until is not None:
        alike += " and first_at < :until"
    if wanted.received_until is not None:
        alike += " and received_at <= :received_until"
    if wanted.received_since is None:
        return alike, alike
    merged = " and received_at >= :received_day_before and ended_at >= :received_since"
    return f"{alike} and received_at >= :received_since", alike + merged


def _chunk(row: Any) -> Chunk:
    return Chunk(row.app_id, row.received_at, row.id, row.lines, row.size, row.body, row.parts)


_COLUMNS = "app_id, received_at, id, ended_at, last_id, lines, size, body, parts"

# Of each app as many as are wanted of all, of either sort, by an index each; and of those the first.
_FOUND = f"""
    (select part.*, false as straddles from unnest(cast(:apps as int[])) as asked (app) cross join lateral (
        (select {_COLUMNS} from chunks where app_id = asked.app and not merged {{fresh}} order by {{along}} limit :limit)
        union all
        (select {_COLUMNS} from chunks where app_id = asked.app and merged {{merged}} order by {{along}} limit :limit)
    ) as part order by {{order}} limit :limit)
"""  # noqa: S608 - of fixed pieces

_OWN = f"""
    (select {_COLUMNS}, false as straddles from chunks
    where app_id = any(:apps) and not merged and received_at = :at and id = :id limit :limit)
"""  # noqa: S608 - of fixed pieces

_EACH = f"""
    select {_COLUMNS} from unnest(cast(:apps as int[]), cast(:times as timestamptz[]), cast(:ids as uuid[])) as asked (a, t, i)
    join chunks on app_id = asked.a and received_at = asked.t and id = asked.i and not merged
"""  # noqa: S608 - of fixed pieces

# Of each app the last merged chunk that begins at or before a place, if it ends there or behind it.
_STRADDLING = f"""
    union all
    (select part.*, true from unnest(cast(:apps as int[])) as asked (app) cross join lateral (
        select {_COLUMNS} from chunks
        where app_id = asked.app and merged and received_at between :day_before and :at and (received_at, id) <= (:at, :id)
        order by received_at desc, id desc limit 1
    ) as part where (part.ended_at, part.last_id) >= (:at, :id))
"""  # noqa: S608 - of fixed pieces
