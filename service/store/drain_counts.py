"""What each drain has sent, added up over the web processes.

A process counts by itself and adds here what is new, every few seconds and off the commit's path: commits of one drain never
wait for each other at a row. What a killed process has counted since is missing from these numbers, and from nothing else.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import dump_json

# A wrong secret names an app, and none of its drains.
NO_DRAIN = 0
# Frames whose skew is kept, the newest: enough for a median that one strange clock does not move.
_SKEWS = 33


@dataclass(frozen=True, slots=True)
class DrainCounts:
    """What a drain has sent so far.

    `frames` are those stored and `lines` their messages, `bytes` before compression, with the damage; `repeats` came again,
    `mismatches` held another number of messages than they said. `refusals` are answers by status; a 401's are its app's. `lost`
    is what Logplex says it dropped. `skew_ms` is how much later than its newest line's own time a frame comes, the median of
    the last few: small and positive where all is well, negative where the sender's clock is ahead; None: never heard.
    """

    frames: int = 0
    lines: int = 0
    bytes: int = 0
    repeats: int = 0
    damaged: int = 0
    mismatches: int = 0
    lost: int = 0
    heard_at: datetime | None = None
    lost_at: datetime | None = None
    skew_ms: int | None = None
    refusals: Mapping[str, int] = field(default_factory=dict)
    refused_at: datetime | None = None


@dataclass(slots=True)
class Tally:
    """What one process has counted of one drain and not yet added to the others'. `losses` is the greatest count by since."""

    app_id: int
    drain_id: int
    frames: int = 0
    lines: int = 0
    bytes: int = 0
    repeats: int = 0
    damaged: int = 0
    mismatches: int = 0
    heard_at: datetime | None = None
    skews: deque[timedelta] = field(default_factory=lambda: deque(maxlen=_SKEWS))
    refusals: dict[int, int] = field(default_factory=dict)
    refused_at: datetime | None = None
    losses: dict[datetime, int] = field(default_factory=dict)

    def lost(self, since: datetime, count: int) -> None:
        """Logplex says that it has dropped `count` messages since then, so far."""
        self.losses[since] = max(count, self.losses.get(since, 0))

    def add(self, later: "Tally") -> None:
        """Counts what was counted later, too."""
        for name in ("frames", "lines", "bytes", "repeats", "damaged", "mismatches"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.heard_at = later.heard_at or self.heard_at
        self.skews.extend(later.skews)
        for status, count in later.refusals.items():
            self.refusals[status] = self.refusals.get(status, 0) + count
        self.refused_at = later.refused_at or self.refused_at
        for since, count in later.losses.items():
            self.lost(since, count)


async def add(conn: AsyncConnection, tallies: Sequence[Tally]) -> None:
    """Adds `tallies` to what all processes have counted.

    Rows are touched in the order of their keys, so that two processes wait for each other and not in a circle; a drain's
    row is locked before its losses are looked at, so that two that were told of one loss count it once.
    """
    counts = [_counts(one) for one in tallies if one.drain_id != NO_DRAIN]
    if counts:
        await conn.execute(_ADD, {"given": dump_json(counts)})
    refusals = [
        {"app_id": one.app_id, "drain_id": one.drain_id, "status": status, "count": count, "last_at": one.refused_at}
        for one in tallies
        for status, count in one.refusals.items()
    ]
    if refusals:
        await conn.execute(_ADD_REFUSALS, {"given": _json(refusals)})
    losses = [
        {"app_id": one.app_id, "drain_id": one.drain_id, "since": since, "count": count}
        for one in tallies
        for since, count in one.losses.items()
    ]
    if losses:
        await conn.execute(_ADD_LOSSES, {"given": _json(losses)})
        await conn.execute(_FORGET_LOSSES, {"given": _json(losses)})


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "app_id": tally.app_id,
        "drain_id": tally.drain_id,
        "frames": tally.frames,
        "lines": tally.lines,
        "bytes": tally.bytes,
        "repeats": tally.repeats,
        "damaged": tally.damaged,
        "mismatches": tally.mismatches,
        "heard_at": tally.heard_at.isoformat() if tally.heard_at else None,
        "skew_ms": _median_ms(tally.skews),
    }


def _median_ms(skews: Sequence[timedelta]) -> int | None:
    return sorted(skews)[len(skews) // 2] // timedelta(milliseconds=1) if skews else None


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    times = ("last_at", "since")
    return dump_json([{k: v.isoformat() if k in times else v for k, v in row.items()} for row in rows])


_ADD = text("""
    insert into drain_counts as kept
        (app_id, drain_id, frames, lines, bytes, repeats, damaged, mismatches, heard_at, skew_ms)
    select * from jsonb_to_recordset(cast(:given as jsonb)) as given
        (app_id int, drain_id int, frames bigint, lines bigint, bytes bigint, repeats bigint, damaged bigint,
         mismatches bigint, heard_at timestamptz, skew_ms bigint)
    order by app_id, drain_id
    on conflict (app_id, drain_id) do update set
        frames = kept.frames + excluded.frames, lines = kept.lines + excluded.lines,
        bytes = kept.bytes + excluded.bytes, repeats = kept.repeats + excluded.repeats,
        damaged = kept.damaged + excluded.damaged, mismatches = kept.mismatches + excluded.mismatches,
        heard_at = greatest(kept.heard_at, excluded.heard_at), skew_ms = coalesce(excluded.skew_ms, kept.skew_ms)""")

_ADD_REFUSALS = text("""
    insert into drain_refusals as kept (app_id, drain_id, status, count, last_at)
    select * from jsonb_to_recordset(cast(:given as jsonb)) as given
        (app_id int, drain_id int, status smallint, count bigint, last_at timestamptz)
    order by app_id, drain_id, status
    on conflict (app_id, drain_id, status) do update set
        count = kept.count + excluded.count, last_at = greatest(kept.last_at, excluded.last_at)""")

_ADD_LOSSES = text("""
    with given as (
        select * from jsonb_to_recordset(cast(:given as jsonb)) as given
            (app_id int, drain_id int, since timestamptz, count bigint)),
    gained as (
        select given.app_id, given.drain_id, sum(greatest(given.count - coalesce(kept.count, 0), 0)) as messages
        from given left join drain_losses kept using (app_id, drain_id, since)
        group by given.app_id, given.drain_id),
    noted as (
        insert into drain_losses as kept (app_id, drain_id, since, count)
        select app_id, drain_id, since, count from given
        on conflict (app_id, drain_id, since) do update set
            count = greatest(kept.count, excluded.count), noted_at = excluded.noted_at)
    update drain_counts counts set lost = counts.lost + gained.messages, lost_at = now()
    from gained where counts.app_id = gained.app_id and counts.drain_id = gained.drain_id""")

# Logplex counts on while no frame gets through; a week of that is an outage that nobody forgets for this number's sake.
_FORGET_LOSSES = text("""
    delete from drain_losses using (
        select distinct app_id, drain_id from jsonb_to_recordset(cast(:given as jsonb)) as given (app_id int, drain_id int)
    ) as given
    where drain_losses.app_id = given.app_id and drain_losses.drain_id = given.drain_id
        and noted_at < now() - interval '7 days'""")
