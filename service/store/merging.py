"""Small chunks of one app that came one after the other, made into a larger one: nothing is lost, doubled or moved.

Three lines compressed alone take four times the space that they take among a thousand. So what is a minute old is merged,
once there is enough of it or its day is over, in one transaction: who reads sees the chunks before, or the one after, and
a worker may be killed at any moment. A line keeps its place (`parts.py`), so cursors, ids and events hold.

Of an app one worker merges at a time: it holds the app's row in `merging`. That row also says how far the app is done, so
that a pass looks only at what is new; what comes later than that stays as it came. So merged chunks of one app never
overlap in time, which is what lets readers find the one that holds a place (`chunk_walk.py`).
"""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import zstandard
from sqlalchemy import and_, delete, false, func, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.log import log
from service.store.parts import Part, pack, unpack
from service.store.tables import chunks, merging, pending, spools


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is merged: chunks of up to `small` bytes, into chunks of about `target` bytes, before compression.

    A chunk is made once it is full, once there are `many` for it, or when its day is over. Measured on the benchmarks' lines,
    bytes a line on disk by target: 256 KiB 37.2, 512 KiB 35.8 (what fills no whole page of TOAST weighs less); but whoever
    wants one line unpacks a whole chunk, 0.3 ms for 512 KiB. Three lines a minute come to 128 chunks in two hours; what is
    made of them is small, and merged once more.
    """

    target: int = 512 << 10
    small: int = 128 << 10
    many: int = 128


SIZES = Sizes()
# Whatever is on its way to the database arrives within this; what does not stays as it came.
SETTLED_AFTER = timedelta(minutes=1)
# One transaction's worth: some 0.2 s of a core, in a thread.
_TRANSACTION_BYTES = 8 << 20
_TRANSACTION_CHUNKS = 5_000

# Level 9 with a deeper search: a line of 227 bytes becomes 34.5 instead of 35.6, at 4 µs instead of 2.6; level 15 would make it
# 33.7, at 9.
_COMPRESSION = zstandard.ZstdCompressionParameters.from_level(
    9, source_size=SIZES.target, search_log=6, write_content_size=1
)

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that may be merged: the key of its first part, the time of receipt of its last, its bytes before compression."""

    received_at: datetime
    id: UUID
    merged: bool
    ended_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which chunks become one, and from which on the next pass has to look; None: all of these are done with."""

    groups: Sequence[Sequence[Candidate]]
    resume: Candidate | None


@dataclass(frozen=True, slots=True)
class Done:
    """What a turn has made: `chunks` of `before`, and whether there is more to do at once."""

    before: int
    chunks: int
    more: bool


def plan(candidates: Sequence[Candidate], *, over: bool, sizes: Sizes = SIZES) -> Plan:
    """What to make of an app's chunks of one day, in order of arrival; `over`: no more will come.

    Each group is a run of neighbours. A chunk that is not small ends one. So that no two merged chunks overlap, a run is not
    cut within a microsecond, and what came late into the time of a chunk that is left as it is, is left as well.
    """
    groups: list[list[Candidate]] = []
    run: list[Candidate] = []
    left_until = _BEGINNING
    for one in candidates:
        if one.received_at <= left_until:
            left_until = max(left_until, one.ended_at)
            continue
        if one.size > sizes.small:
            groups.append(run)
            run, left_until = [], _ended_at([*run, one])
        elif run and sum(each.size for each in run) + one.size > sizes.target and one.received_at > _ended_at(run):
            groups.append(run)
            run = [one]
        else:
            run.append(one)
    if over or len(run) >= sizes.many:
        groups.append(run)
    resume = run[0] if run and not over else None
    return Plan([group for group in groups if len(group) > 1], resume)


async def due(conn: AsyncConnection, *, now: datetime, sizes: Sizes = SIZES) -> list[int]:
    """The apps that have something to merge at `now`; those that are new are noted."""
    await conn.execute(_NOTE, {"beginning": _BEGINNING})
    until = now - SETTLED_AFTER
    asked = {
        "until": until,
        "today": _midnight(until),
        "target": sizes.target,
        "many": sizes.many,
    }
    return list(await conn.scalars(_DUE, asked))


async def merge(conn: AsyncConnection, app_id: int, *, now: datetime, sizes: Sizes = SIZES) -> Done:
    """Merges what is due of an app, up to 8 MiB and one day of it, in the transaction of `conn`, which commits it or not.

    Does nothing where another worker is at this app.
    """
    held = select(merging.c.merged_until).where(merging.c.app_id == app_id).with_for_update(skip_locked=True)
    since = await conn.scalar(held)
    if since is None:
        return Done(0, 0, more=False)
    until = await _settled_until(conn, app_id, now)
    fresh = and_(chunks.c.app_id == app_id, chunks.c.merged == false(), chunks.c.received_at >= since)
    oldest = await conn.scalar(select(func.min(chunks.c.received_at)).where(fresh, chunks.c.received_at < until))
    if oldest is None:
        return Done(0, 0, more=False)
    day = _midnight(oldest)
    since, end, over = max(since, day), min(until, day + _DAY), until >= day + _DAY
    candidates = await _candidates(conn, app_id, since, end)
    if len(candidates) == _TRANSACTION_CHUNKS:
        end, over = candidates[-1].received_at, False
        candidates = [one for one in candidates if one.received_at < end]
    planned = plan(candidates, over=over, sizes=sizes)
    groups, resume = _first_of(planned.groups), planned.resume
    if len(groups) < len(planned.groups):
        resume = planned.groups[len(groups)][0]
    merged = []
    for group in groups:
        if await _merge(conn, app_id, group):
            merged.append(group)
        elif resume is group[0]:
            resume = None  # passed by, or it would be tried for ever
    reached = resume.received_at if resume else end
    await conn.execute(update(merging).where(merging.c.app_id == app_id).values(merged_until=reached))
    return Done(sum(map(len, merged)), len(merged), more=reached > since)


def _ended_at(run: Sequence[Candidate]) -> datetime:
    return max(one.ended_at for one in run)


def _first_of(groups: Sequence[Sequence[Candidate]]) -> Sequence[Sequence[Candidate]]:
    """As many of the first as one transaction merges; at least one, if there are any."""
    size = 0
    for number, group in enumerate(groups):
        size += sum(one.size for one in group)
        if number and size > _TRANSACTION_BYTES:
            return groups[:number]
    return groups


async def _settled_until(conn: AsyncConnection, app_id: int, now: datetime) -> datetime:
    """Before when all that will come is there and folded, as far as one can know."""
    waiting = await conn.scalar(select(func.min(pending.c.received_at)).where(pending.c.app_id == app_id))
    # What lies on a web process's disk comes with the time at which it was received. Who has said nothing for an hour is gone.
    said = spools.c.seen_at > func.now() - timedelta(hours=1)
    on_disk = await conn.scalar(select(func.min(spools.c.since)).where(said))
    return min(at for at in (now - SETTLED_AFTER, waiting, on_disk) if at is not None)


async def _candidates(conn: AsyncConnection, app_id: int, since: datetime, until: datetime) -> list[Candidate]:
    ended_at = func.coalesce(chunks.c.ended_at, chunks.c.received_at)
    rows = await conn.execute(
        select(chunks.c.received_at, chunks.c.id, chunks.c.merged, ended_at.label("ended_at"), chunks.c.size)
        .where(chunks.c.app_id == app_id, chunks.c.received_at >= since, chunks.c.received_at < until)
        .order_by(chunks.c.received_at, chunks.c.id)
        .limit(_TRANSACTION_CHUNKS)
    )
    return [Candidate(row.received_at, row.id, row.merged, row.ended_at, row.size) for row in rows]


async def _merge(conn: AsyncConnection, app_id: int, group: Sequence[Candidate]) -> bool:
    """Puts one chunk in the place of a group; False where that cannot be read: then it stays as it is."""
    try:
        async with conn.begin_nested():
            rows = [row for merged in (False, True) for row in await _taken(conn, app_id, group, merged=merged)]
            if len(rows) != len(group):
                raise ValueError(f"{len(rows)} chunks are left of {len(group)}")
            values = await asyncio.to_thread(_joined, rows)
            await conn.execute(chunks.insert().values(app_id=app_id, merged=True, **values))
    except (zstandard.ZstdError, struct.error, ValueError) as error:
        first, last = group[0], group[-1]
        log.error("merge.failed", app_id=app_id, since=first.received_at, until=last.ended_at, reason=str(error))
        return False
    return True


async def _taken(conn: AsyncConnection, app_id: int, group: Sequence[Candidate], *, merged: bool) -> Sequence[Any]:
    """The rows of the group's chunks of one sort, deleted."""
    ids = [one.id for one in group if one.merged == merged]
    if not ids:
        return []
    taken = (
        delete(chunks)
        .where(chunks.c.app_id == app_id, chunks.c.merged == (true() if merged else false()), chunks.c.id.in_(ids))
        .where(chunks.c.received_at.between(group[0].received_at, group[-1].received_at))
        .returning(*chunks.c)
    )
    return (await conn.execute(taken)).all()


def _joined(rows: Sequence[Any]) -> dict[str, Any]:
    """The columns of the chunk that these are together."""
    pieces: list[tuple[Part, bytes]] = []
    for row in rows:
        body = zstandard.ZstdDecompressor().decompress(row.body, max_output_size=row.size)
        own = Part(row.received_at, row.id, row.lines, row.size)
        parts = list(unpack(row.parts)) if row.merged else [(own, 0)]
        if len(body) != row.size or row.size != sum(part.size for part, _ in parts):
            raise ValueError(f"chunk {row.id} has {len(body)} bytes, its parts have others; expected {row.size}")
        pieces += [(part, body[begin : begin + part.size]) for part, begin in parts]
    pieces.sort(key=lambda piece: piece[0].key)
    body = b"".join(piece for _, piece in pieces)
    first, last = pieces[0][0], pieces[-1][0]
    return {
        "received_at": first.received_at,
        "id": first.id,
        "ended_at": last.received_at,
        "last_id": last.id,
        "first_at": min(row.first_at for row in rows),
        "last_at": max(row.last_at for row in rows),
        "lines": sum(row.lines for row in rows),
        "processes": sorted({process for row in rows for process in row.processes}),
        "size": len(body),
        "body": zstandard.ZstdCompressor(compression_params=_COMPRESSION).compress(body),
        "parts": pack([part for part, _ in pieces]),
    }


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.astimezone(UTC).date(), time(), tzinfo=UTC)


_NOTE = text("""
    insert into merging (app_id, merged_until)
    select id, :beginning from apps where id not in (select app_id from merging)
    on conflict do nothing
""")

# Apps of which so much came that there may be something to merge; large chunks count too, for they are to be passed by: else
# each pass would count them anew. What is left of a day that is over is looked at once, however little it is.
_DUE = text("""
    select merging.app_id from merging cross join lateral (
        select count(*) as chunks, sum(size) as bytes, min(received_at) as oldest from chunks
        where app_id = merging.app_id and not merged
            and received_at >= merging.merged_until and received_at < :until
    ) as fresh
    where chunks >= :many or bytes >= :target or oldest < :today
    order by merging.app_id
""")
