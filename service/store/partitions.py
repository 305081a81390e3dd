"""Partitions of `chunks`, `events`, `frames` and `traffic`: made ahead of time, dropped whole when their time is over.

There is no default partition (rows in one would be in the way of the partition that they belong to), so what a row needs
must be there before the row: days around now exist from the first migration on, and whoever runs keeps making them.

Hard about it: nobody who writes or reads may wait for it. `create table … partition of` and `drop table` lock the parent
against everyone, and whoever comes after such a lock that waits, waits too. So a partition is made beside the parent and
attached, and detached (concurrently) before it is dropped: both let reads and writes pass (PostgreSQL: SHARE UPDATE
EXCLUSIVE). Weeks are ISO's, Monday to Monday; all in UTC.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database

# What is made around the day of now. Yesterday too: a frame received just before midnight is committed after it, and a
# machine's clock may be behind. Three days ahead are a weekend in which no worker ran.
DAYS_BEHIND = 1
DAYS_AHEAD = 3
# At midnight another day is wanted, which is there an hour later at the latest (`housekeeping.py`).
MADE_WITHIN = timedelta(hours=2)

# Each parent and whether its partitions are weeks (or days). Events are few: 90 partitions would cost every plan. In the
# order in which an ingest commit touches them: who locks in the same order cannot wait in a circle with it.
_WEEKLY = {"frames": False, "events": True, "chunks": False, "traffic": True}
_NAME = re.compile(r"(chunks|frames|events|traffic)_(\d{4})_(?:(\d\d)_(\d\d)|w(\d\d))(_merged)?")
# Any numbers, the same in every process. Transaction-scoped: behind PgBouncer a session's lock would be nobody's.
_MAKING, _DROPPING = 0x64726169_6E700001, 0x64726169_6E700003


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept after their receipt, at least (traffic: after its minute); a partition goes once all of its time
    is older than that.

    A repeat of a frame is known for 24 hours by the clock of whoever receives it; clocks differ by less than an hour.
    """

    chunks: timedelta = timedelta(days=7)
    events: timedelta = timedelta(days=90)
    frames: timedelta = timedelta(hours=25)
    traffic: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: rows of `parent` received on the days from `since` up to but not on `until` (UTC).

    A day of chunks has two: one for those that are `merged`, one for the others.
    """

    parent: str
    since: date
    until: date
    merged: bool = False

    @classmethod
    def of(cls, parent: str, day: date, *, merged: bool = False) -> "Partition":
        """The partition of `parent` that holds `day`."""
        if _WEEKLY[parent]:
            monday = day - timedelta(days=day.weekday())
            return cls(parent, monday, monday + timedelta(days=7))
        return cls(parent, day, day + timedelta(days=1), merged)

    @classmethod
    def named(cls, name: str) -> "Partition | None":
        """The partition of that name; None where it is not one of ours."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        parent, year, month, day, week, merged = found.groups()
        try:
            first = date.fromisocalendar(int(year), int(week), 1) if week else date(int(year), int(month), int(day))
        except ValueError:
            return None
        made = cls.of(parent, first, merged=merged is not None and parent == "chunks")
        return made if made.name == name else None

    @property
    def name(self) -> str:
        """`chunks_2026_11_24`, or by ISO's year and week `events_2026_w48`."""
        if _WEEKLY[self.parent]:
            year, week, _ = self.since.isocalendar()
            return f"{self.parent}_{year}_w{week:02}"
        return f"{self.parent}_{self.since:%Y_%m_%d}{'_merged' if self.merged else ''}"

    @property
    def order(self) -> tuple[int, date, bool]:
        """In which order they are made and dropped: by parent and time, a day's merged chunks after those that they are
        made of."""
        return list(_WEEKLY).index(self.parent), self.since, self.merged


def wanted(now: datetime) -> list[Partition]:
    """The partitions that must exist at `now` (aware), in their order."""
    today = now.astimezone(UTC).date()
    days = [today + timedelta(days=n) for n in range(-DAYS_BEHIND, DAYS_AHEAD + 1)]
    plain = {Partition.of(parent, day) for parent in _WEEKLY for day in days}
    merged = {Partition.of("chunks", day, merged=True) for day in days}
    return sorted(plain | merged, key=lambda one: one.order)


async def ensure(conn: AsyncConnection, now: datetime) -> list[str]:
    """Makes what `wanted(now)` lacks; gives the names of what was made. One cheap question where nothing is missing.

    Safe from any number of processes at once. Call it in a transaction of its own (a lock time-out stays set in it): at
    the start, hourly, and for the time of receipt of rows that come late. Raises the driver's error where a lock was not
    to be had within 5 s; the next call tries again.
    """
    return await _make(conn, wanted(now))


async def missing(conn: AsyncConnection, now: datetime) -> list[str]:
    """The names of what `wanted(now)` lacks and has been wanted for some time: whoever runs makes them by and by."""
    before = set(wanted(now - MADE_WITHIN))
    return [partition.name for partition in await _missing(conn, wanted(now)) if partition in before]


async def ensure_traffic(conn: AsyncConnection, minutes: Iterable[datetime]) -> list[str]:
    """Makes the partitions of `traffic` that rows of these minutes need: lines may be old. Gives the names of what was made.

    May be called in the transaction that writes the rows: another that makes partitions waits for its end.
    """
    return await _make(conn, sorted({Partition.of("traffic", at.date()) for at in minutes}, key=lambda one: one.order))


async def _make(conn: AsyncConnection, partitions: Sequence[Partition]) -> list[str]:
    if not await _missing(conn, partitions):
        return []
    await conn.execute(text("set local lock_timeout = '5s'"))
    await conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _MAKING})
    lacking = await _missing(conn, partitions)  # again: another process may have made them while this one waited
    for partition in lacking:
        for statement in _making(partition):
            await conn.execute(text(statement))
    return [partition.name for partition in lacking]


async def drop_old(db: Database, now: datetime, retention: Retention, *, patience: float = 5.0) -> list[str]:
    """Drops the partitions whose rows are all older than `retention` at `now`; gives their names.

    One process at a time does it; the others give nothing. What somebody has been reading since before is left to a later
    call after `patience` seconds, with the rest of that parent's: nobody else waits meanwhile, and new queries no longer see
    it. A call that was killed half-way is finished by the next. Raises StoreAway.
    """
    keep = {
        "frames": retention.frames,
        "chunks": retention.chunks,
        "events": retention.events,
        "traffic": retention.traffic,
    }
    dropped: list[str] = []
    busy: set[str] = set()
    async with db.begin() as holder:
        if not await holder.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _DROPPING}):
            return []
        found = [(partition, row) for row in await holder.execute(_ALL) if (partition := Partition.named(row.name))]
        old = [one for one in found if _midnight(one[0].until) <= now - keep[one[0].parent]]
        if not old:
            return []
        # The last statement here: a question would keep its snapshot until the next, and `detach … finalize` wait for it.
        await holder.execute(text("set local idle_in_transaction_session_timeout = 0"))
        conn = await db.asyncpg()  # `detach … concurrently` runs in no transaction
        try:
            for partition, row in sorted(old, key=lambda one: one[0].order):
                if partition.parent in busy:
                    continue
                try:
                    for statement in _dropping(partition, attached=row.attached, detaching=row.detaching):
                        await conn.execute(statement, timeout=patience)
                except TimeoutError:
                    busy.add(partition.parent)  # no other can be detached before this one is
                else:
                    dropped.append(partition.name)
        finally:
            await conn.close()
    return dropped


# Every table here that may be a partition, or has been one; `detaching`: not wholly detached yet.
_ALL = text("""
    select relname as name, inhrelid is not null as attached, coalesce(inhdetachpending, false) as detaching
    from pg_class left join pg_inherits on inhrelid = pg_class.oid
    where relkind = 'r' and relname ~ '^(chunks|events|frames|traffic)_' and pg_table_is_visible(pg_class.oid)
""")


async def _missing(conn: AsyncConnection, partitions: Sequence[Partition]) -> list[Partition]:
    there = set(await _attached(conn))
    return [partition for partition in partitions if partition.name not in there]


async def _attached(conn: AsyncConnection) -> list[str]:
    rows = await conn.execute(
        text("""
            select child.relname
            from pg_inherits
            join pg_class child on child.oid = inhrelid
            where inhparent in (select to_regclass(name) from unnest(cast(:parents as text[])) as parent (name))
            order by child.relname
        """),
        {"parents": list(_WEEKLY)},
    )
    return list(rows.scalars())


def _making(partition: Partition) -> Iterator[str]:
    parent, name = partition.parent, partition.name
    since, until = _bound(partition, partition.since), _bound(partition, partition.until)
    # A table left unattached by hand is in nobody's way: it is attached as it is.
    yield f"create table if not exists {name} (like {parent} including all)"
    yield f"alter table {parent} attach partition {name} for values from ({since}) to ({until})"


def _dropping(partition: Partition, *, attached: bool, detaching: bool) -> Iterator[str]:
    if attached:
        yield f"alter table {partition.parent} detach partition {partition.name} {'finalize' if detaching else 'concurrently'}"
    yield f"drop table if exists {partition.name}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _bound(partition: Partition, day: date) -> str:
    if partition.parent == "frames":
        return f"'{day.isoformat()}'"
    return f"{f'{partition.merged}, ' if partition.parent == 'chunks' else ''}'{day.isoformat()} 00:00:00+00'"
