"""Once per frame id: the rows that make a repeat harmless, and the write of everything that a batch of frames holds.

A frame's row stands in the partition of its day. A repeat within 24 hours may fall on the next day, so yesterday's rows are
asked too; and since two requests at once do not see each other's rows, what comes in the first minutes of a day takes
yesterday's place as well: whichever side of midnight the other one is on, the two meet at one key.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from service.store.wakeups import PENDING

# Longer than two requests for one frame can be under way at once, and than clocks of two machines differ.
AROUND_MIDNIGHT = timedelta(minutes=10)

_DAY = timedelta(days=1)

# In the order of the keys, so that two transactions with frames in common wait for each other instead of locking up.
_CLAIM = """
    insert into frames (app_id, drain_id, frame_key, day, received_at)
    select wanted.* from unnest($1::int[], $2::int[], $3::uuid[], $4::date[], $5::timestamptz[])
        as wanted (app_id, drain_id, frame_key, day, received_at)
    where not exists (
        select from frames as old
        where old.app_id = wanted.app_id and old.drain_id = wanted.drain_id and old.frame_key = wanted.frame_key
          and old.day = wanted.day - 1 and old.received_at > wanted.received_at - interval '1 day'
    )
    order by 1, 2, 3, 4
    on conflict do nothing
    returning drain_id, frame_key
"""

CHUNK_COLUMNS = ("app_id", "received_at", "id", "first_at", "last_at", "lines", "processes", "size", "body")
EVENT_COLUMNS = (
    *("app_id", "received_at", "id", "ts", "kind", "code", "severity", "source", "process", "dyno", "message"),
    *("fields", "flags", "chunk_id", "place"),
)
PENDING_COLUMNS = ("app_id", "chunk_id", "received_at", "newest_at", "events")
QUARANTINE_COLUMNS = ("app_id", "id", "received_at", "reason", "body")


@dataclass(frozen=True, slots=True, order=True)
class FrameKey:
    """What names a frame: its drain, and a 128-bit digest of its id."""

    app_id: int
    drain_id: int
    digest: UUID


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as the tables' COLUMNS say, ready for COPY."""

    chunks: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    pending: list[tuple[Any, ...]]
    quarantine: list[tuple[Any, ...]]


async def claim(
    conn: "asyncpg.Connection[asyncpg.Record]", keys: Sequence[FrameKey], *, received_at: datetime
) -> set[FrameKey]:
    """Those of `keys` that were not kept in the last 24 hours; from now on they are. Waits for a transaction that has
    claimed one of them and is not over."""
    days = [received_at.date()]
    if received_at.time() < (datetime.min + AROUND_MIDNIGHT).time():
        days.append(received_at.date() - _DAY)
    wanted = [(key, day) for key in sorted(set(keys)) for day in sorted(days)]
    claimed = await conn.fetch(
        _CLAIM,
        [key.app_id for key, _ in wanted],
        [key.drain_id for key, _ in wanted],
        [key.digest for key, _ in wanted],
        [day for _, day in wanted],
        [received_at] * len(wanted),
    )
    if len(claimed) == len(wanted):
        return set(keys)
    times = Counter((row["drain_id"], row["frame_key"]) for row in claimed)
    return {key for key in keys if times[key.drain_id, key.digest] == len(days)}


async def write(conn: "asyncpg.Connection[asyncpg.Record]", rows: Rows) -> None:
    """Adds all of `rows` and wakes the worker when the transaction commits."""
    for table, columns, records in (
        ("chunks", CHUNK_COLUMNS, rows.chunks),
        ("events", EVENT_COLUMNS, rows.events),
        ("pending", PENDING_COLUMNS, rows.pending),
        ("quarantine", QUARANTINE_COLUMNS, rows.quarantine),
    ):
        if records:
            await conn.copy_records_to_table(table, records=records, columns=columns)
    if rows.events:
        await conn.execute(f"notify {PENDING}")
