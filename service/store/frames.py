"""Once per frame id: the rows that make a repeat harmless, and the write of everything that a batch of frames holds.

A frame's row stands in the partition of its day. A repeat within 24 hours may fall on the next day, so yesterday's rows are
asked too; and since two requests at once do not see each other's rows, what comes in the first minutes of a day takes
yesterday's place as well: whichever side of midnight the other one is on, the two meet at one key.

Few round trips matter here more than anywhere: what can go together goes in one simple query, with its values written
out. They are numbers, digests and times that this process has made itself.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from service.store.copy_in import (
    Columns,
    bytea,
    copy_in,
    copying,
    encoded,
    int2,
    int4,
    jsonb,
    text,
    texts,
    timestamp,
    uuid,
    word,
    words,
)
from service.store.wakeups import PENDING

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Longer than two requests for one frame can be under way at once, and than clocks of two machines differ.
AROUND_MIDNIGHT = timedelta(minutes=10)

_DAY = timedelta(days=1)
_MOST_NAMED = 100  # apps in one notification, which holds 8,000 bytes

CHUNK_COLUMNS: Columns = {
    "app_id": int4,
    "received_at": timestamp,
    "id": uuid,
    "first_at": timestamp,
    "last_at": timestamp,
    "lines": int4,
    "processes": texts,
    "size": int4,
    "body": bytea,
}
EVENT_COLUMNS: Columns = {
    "app_id": int4,
    "received_at": timestamp,
    "id": uuid,
    "ts": timestamp,
    "kind": word,
    "code": word,
    "severity": int2,
    "source": word,
    "process": word,
    "dyno": word,
    "message": text,
    "fields": jsonb,
    "flags": words,
    "chunk_id": uuid,
    "place": int4,
}
QUARANTINE_COLUMNS: Columns = {"app_id": int4, "id": uuid, "received_at": timestamp, "reason": text, "body": bytea}


class FrameKey(NamedTuple):
    """What names a frame: its drain, and a 128-bit digest of its id. A tuple with bytes, which is made, hashed and sorted in C:
    as a dataclass with a UUID it cost 3 µs a frame more."""

    app_id: int
    drain_id: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """A chunk whose events a worker has still to fold. `newest_at` is the newest time in it, `traffic` is packed."""

    app_id: int
    chunk_id: UUID
    received_at: datetime
    newest_at: datetime
    events: int
    traffic: bytes
    unfinished: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as the tables' COLUMNS say, ready for COPY; for each chunk one that is pending. A chunk's body comes later."""

    chunks: list[tuple[tuple[Any, ...], Awaitable[bytes]]]
    events: list[tuple[Any, ...]]
    pending: list[Pending]
    quarantine: list[tuple[Any, ...]]


class Claim:
    """A transaction in which some frames' keys are being claimed.

    First those of the frames, then the `further` ones, of the L10 lines in front: those are known once the frames are read.
    Everybody claims in this order, so that two transactions wait for each other and do not lock each other out.
    """

    def __init__(self, conn: Connection, keys: Collection[FrameKey], received_at: datetime, came_at: datetime) -> None:
        self._conn = conn
        self._times = received_at, came_at
        self._claimed = asyncio.create_task(self._claim(keys, "begin;"))

    async def keep(self, further: Collection[FrameKey], rows: Rows) -> bool:
        """Commits `rows` if none of the keys, and of `further`, was kept before, and wakes the worker; else changes nothing and
        gives False."""
        is_new = await self._claimed and (not further or await self._claim(further))
        if is_new:
            await write(self._conn, rows, "commit")
        else:
            await self._conn.execute("rollback")
        return is_new

    async def give_up(self, error: BaseException) -> None:
        """Ends the transaction, because of `error`."""
        self._claimed.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await self._claimed
        # A connection that is gone has rolled back; one that does not answer, or is given up, will with its end.
        if not isinstance(error, TimeoutError | asyncio.CancelledError):
            with suppress(Exception):
                await self._conn.execute("rollback")

    async def _claim(self, keys: Collection[FrameKey], before: str = "") -> bool:
        days = _days(self._times[0])
        done = await self._conn.execute(f"{before} {_claiming(keys, days, *self._times)}")
        return int(done.rpartition(" ")[2]) == len(set(keys)) * len(days)


@asynccontextmanager
async def claiming(
    conn: Connection, keys: Collection[FrameKey], *, received_at: datetime, came_at: datetime
) -> AsyncIterator[Claim]:
    """Begins to claim `keys`, for as long as what they name is kept: Postgres is asked at once, and answers meanwhile. New are
    those that were not kept in the last 24 hours. `came_at` is earlier than `received_at` for what has waited in a spool: the
    24 hours are those before that."""
    claim = Claim(conn, keys, received_at, came_at)
    try:
        await asyncio.sleep(0)  # the question goes out
        yield claim
    except BaseException as error:
        await claim.give_up(error)
        raise


async def claim(
    conn: Connection,
    keys: Collection[FrameKey],
    further: Collection[FrameKey] = (),
    *,
    received_at: datetime,
    came_at: datetime | None = None,
) -> set[FrameKey]:
    """Those of `keys`, and of `further`, that were not kept in the last 24 hours (before `came_at`, as above); from now on they
    are. Waits for a transaction that has claimed one of them and is not over."""
    days = _days(received_at)
    fresh: set[FrameKey] = set()
    for some in (keys, further):
        if some:
            claiming = _claiming(some, days, received_at, came_at or received_at)
            claimed = await conn.fetch(f"{claiming} returning app_id, drain_id, frame_key")
            times = Counter(FrameKey(app_id, drain_id, key.bytes) for app_id, drain_id, key in claimed)
            fresh |= {key for key in some if times[key] == len(days)}
    return fresh


async def write(conn: Connection, rows: Rows, then: str = "") -> None:
    """Adds all of `rows`, wakes the worker once they are committed, and does `then`. One round trip; Postgres takes the events
    while the chunks are still being compressed."""
    tables = (("events", EVENT_COLUMNS, rows.events), ("quarantine", QUARANTINE_COLUMNS, rows.quarantine))
    made = [(copying(table, columns), encoded(columns, some)) for table, columns, some in tables if some]
    copies = [statement for statement, _ in made]
    if rows.chunks:
        copies.append(copying("chunks", CHUNK_COLUMNS))

    async def all_rows() -> AsyncIterator[bytes]:
        for _, some in made:
            yield some
        if rows.chunks:
            yield encoded(CHUNK_COLUMNS, [(*row, await body) for row, body in rows.chunks])

    finish = f"{_coming(rows.pending)}{then}"
    if copies:
        await copy_in(conn, copies, all_rows(), finish)
    elif finish:
        await conn.execute(finish)


def _coming(pending: Sequence[Pending]) -> str:
    """The statements that tell workers and streams which chunks come with this transaction; none where there are none."""
    if not pending:
        return ""
    news = ",".join(
        f"({one.app_id},'{one.chunk_id.hex}'::uuid,{_time(one.received_at)},{_time(one.newest_at)},{one.events},"
        f"'\\x{one.traffic.hex()}'::bytea,{one.unfinished})"
        for one in pending
    )
    arrivals = ",".join(
        f"({one.app_id},'{one.chunk_id.hex}'::uuid,{_time(one.received_at)},{one.events})" for one in pending
    )
    return f"""
        insert into pending (app_id, chunk_id, received_at, newest_at, events, traffic, unfinished) values {news};
        insert into arrivals (app_id, chunk_id, received_at, events) values {arrivals};
        {_notifying(pending)};
    """  # noqa: S608 - numbers, ids and times of our own making


def _notifying(pending: Sequence[Pending]) -> str:
    apps = {one.app_id for one in pending}
    return f"notify {PENDING}, '{','.join(map(str, apps))}'" if len(apps) <= _MOST_NAMED else f"notify {PENDING}"


def _time(at: datetime) -> str:
    return f"timestamptz '{at.isoformat()}'"


def _days(received_at: datetime) -> list[datetime]:
    yesterday_too = received_at.time() < (datetime.combine(received_at, time()) + AROUND_MIDNIGHT).time()
    return [received_at - _DAY, received_at] if yesterday_too else [received_at]


def _claiming(keys: Collection[FrameKey], days: list[datetime], received_at: datetime, came_at: datetime) -> str:
    """The statement that claims `keys`, in their order (`Claim`)."""
    since = came_at - _DAY
    dates = [f"date '{day:%Y-%m-%d}'" for day in days]
    names = [(app, drain, digest.hex()) for app, drain, digest in sorted(set(keys))]
    wanted = ",".join([f"({app},{drain},'{digest}'::uuid,{date})" for app, drain, digest in names for date in dates])
    return f"""
        insert into frames (app_id, drain_id, frame_key, day, received_at)
        select wanted.*, timestamptz '{received_at.isoformat()}'
        from (values {wanted}) as wanted (app_id, drain_id, frame_key, day)
        where not exists (
            select from frames as old
            where old.app_id = wanted.app_id and old.drain_id = wanted.drain_id and old.frame_key = wanted.frame_key
              and old.day between date '{since:%Y-%m-%d}' and date '{received_at - _DAY:%Y-%m-%d}'
              and old.received_at between timestamptz '{since.isoformat()}'
                  and timestamptz '{(received_at - AROUND_MIDNIGHT).isoformat()}'
        )
        order by 1, 2, 3, 4 -- whatever way Postgres finds the old ones
        on conflict do nothing
    """  # noqa: S608 - numbers, digests and times of our own making
