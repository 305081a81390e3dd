"""Partitions of `chunks`, `events` and `frames`: made ahead of time, dropped whole when their time is over.

There is no default partition (rows in one would be in the way of the partition that they belong to), so what a row needs
must be there before the row: days around now exist from the first migration on, and whoever runs keeps making them. Made
beside the parent and then attached, because `create table … partition of` locks the parent against every write, while
`attach partition` lets them pass (PostgreSQL: SHARE UPDATE EXCLUSIVE). Weeks are ISO's, Monday to Monday; all in UTC.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import is_lock_timeout

# What is made around the day of now. Yesterday too: a frame received just before midnight is committed after it, and a
# machine's clock may be behind. Three days ahead are a weekend in which no worker ran.
DAYS_BEHIND = 1
DAYS_AHEAD = 3

# Each parent and whether its partitions are weeks (or days). Events are few: 90 partitions would cost every plan. In the
# order in which an ingest commit touches them: who locks in the same order cannot wait in a circle with it.
_WEEKLY = {"frames": False, "chunks": False, "events": True}
_NAME = re.compile(r"(chunks|frames|events)_(\d{4})_(?:(\d\d)_(\d\d)|w(\d\d))")
# Any number, the same in every process. Transaction-scoped: behind PgBouncer a session's lock would be nobody's.
_LOCK = 0x64726169_6E700001


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept after their receipt, at least; a partition goes once all of its time is older than that.

    Frame ids need the 24 hours in which a repeat is known, and a day for what a spool brings late.
    """

    chunks: timedelta = timedelta(days=7)
    events: timedelta = timedelta(days=90)
    frames: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: rows of `parent` received on the days from `since` up to but not on `until` (UTC)."""

    parent: str
    since: date
    until: date

    @classmethod
    def of(cls, parent: str, day: date) -> "Partition":
        """The partition of `parent` that holds `day`."""
        if _WEEKLY[parent]:
            monday = day - timedelta(days=day.weekday())
            return cls(parent, monday, monday + timedelta(days=7))
        return cls(parent, day, day + timedelta(days=1))

    @classmethod
    def named(cls, name: str) -> "Partition | None":
        """The partition of that name; None where it is not one of ours."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        parent, year, month, day, week = found.groups()
        try:
            first = date.fromisocalendar(int(year), int(week), 1) if week else date(int(year), int(month), int(day))
        except ValueError:
            return None
        made = cls.of(parent, first)
        return made if made.name == name else None

    @property
    def name(self) -> str:
        """`chunks_2026_11_24`, or by ISO's year and week `events_2026_w48`."""
        if _WEEKLY[self.parent]:
            year, week, _ = self.since.isocalendar()
            return f"{self.parent}_{year}_w{week:02}"
        return f"{self.parent}_{self.since:%Y_%m_%d}"


def wanted(now: datetime) -> list[Partition]:
    """The partitions that must exist at `now` (aware), by parent and time."""
    today = now.astimezone(UTC).date()
    days = [today + timedelta(days=n) for n in range(-DAYS_BEHIND, DAYS_AHEAD + 1)]
    return [made for parent in _WEEKLY for made in dict.fromkeys(Partition.of(parent, day) for day in days)]


async def ensure(conn: AsyncConnection, now: datetime) -> list[str]:
    """Makes what `wanted(now)` lacks; gives the names of what was made. One cheap question where nothing is missing.

    Safe from any number of processes at once. Call it in a transaction of its own (a lock time-out stays set in it): at
    the start, hourly, and for the time of receipt of rows that come late. Raises the driver's error where a lock was not
    to be had within 5 s; the next call tries again.
    """
    if not await _missing(conn, now):
        return []
    await conn.execute(text("set local lock_timeout = '5s'"))
    await conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    missing = await _missing(conn, now)  # again: another process may have made them while this one waited
    for partition in missing:
        for statement in _making(partition):
            await conn.execute(text(statement))
    return [partition.name for partition in missing]


async def drop_old(conn: AsyncConnection, now: datetime, retention: Retention) -> list[str]:
    """Drops the partitions whose rows are all older than `retention` at `now`; gives their names.

    Dropping locks the parent against everything for a moment, so it waits for that lock for a quarter of a second at
    most, and leaves to the next call what it could not have. Call it in a transaction of its own.
    """
    keep: dict[str, timedelta] = {"frames": retention.frames, "chunks": retention.chunks, "events": retention.events}
    there = [partition for name in await _attached(conn) if (partition := Partition.named(name))]
    dropped: list[str] = []
    busy: set[str] = set()
    for partition in sorted(there, key=lambda one: (list(_WEEKLY).index(one.parent), one.since)):
        if partition.parent in busy or _midnight(partition.until) > now - keep[partition.parent]:
            continue
        try:
            async with conn.begin_nested():
                await conn.execute(text("set local lock_timeout = '250ms'"))
                await conn.execute(text(f"drop table if exists {partition.name}"))
        except DBAPIError as error:
            if not is_lock_timeout(error):
                raise
            busy.add(partition.parent)  # its writers have waited behind this for once, and will not for each partition
        else:
            dropped.append(partition.name)
    return dropped


async def _missing(conn: AsyncConnection, now: datetime) -> list[Partition]:
    there = set(await _attached(conn))
    return [partition for partition in wanted(now) if partition.name not in there]


async def _attached(conn: AsyncConnection) -> list[str]:
    rows = await conn.execute(
        text("""
            select child.relname
            from pg_inherits
            join pg_class child on child.oid = inhrelid
            where inhparent = any(array[to_regclass('chunks'), to_regclass('events'), to_regclass('frames')])
            order by child.relname
        """)
    )
    return list(rows.scalars())


def _making(partition: Partition) -> Iterator[str]:
    parent, name = partition.parent, partition.name
    # A table left unattached by hand is in nobody's way: it is attached as it is.
    yield f"create table if not exists {name} (like {parent} including all)"
    yield (
        f"alter table {parent} attach partition {name}"
        f" for values from ('{_bound(parent, partition.since)}') to ('{_bound(parent, partition.until)}')"
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _bound(parent: str, day: date) -> str:
    return day.isoformat() if parent == "frames" else f"{day.isoformat()} 00:00:00+00"
