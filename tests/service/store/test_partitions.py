"""Partitions: there before the rows that need them, gone whole when their time is over."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.store.database import Database
from service.store.ids import new_id
from service.store.partitions import Partition, Retention, drop_old, ensure, missing, wanted
from service.store.tables import chunks, events, frames

TUESDAY = datetime(2031, 11, 25, 12, tzinfo=UTC)
ALL = 5 + 2 * 5 + 1 + 1  # days of frames, days of chunks, a week of events, one of traffic
LATER = TUESDAY + timedelta(days=8, hours=1)
OLD_CHUNKS = ["chunks_2031_11_24", "chunks_2031_11_24_merged", "chunks_2031_11_25", "chunks_2031_11_25_merged"]
NEW_YEAR = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)


async def made(db: Database, now: datetime) -> list[str]:
    async with db.begin() as conn:
        return await ensure(conn, now)


async def attached(db: Database, parent: str) -> list[str]:
    """The partitions that queries of `parent` see, by name."""
    async with db.read() as conn:
        seen = "select inhrelid::regclass::text from pg_inherits where inhparent = cast(:parent as regclass)"
        return sorted(await conn.scalars(text(f"{seen} and not inhdetachpending"), {"parent": parent}))


async def keep_rows(db: Database, received_at: datetime) -> None:
    """A frame, its chunk and an event, received then."""
    chunk = {"app_id": 1, "received_at": received_at, "id": new_id(), "first_at": received_at, "last_at": received_at}
    event = {
        "app_id": 1,
        "received_at": received_at,
        "id": new_id(),
        "ts": received_at,
        "kind": "release",
        "severity": 1,
    }
    frame = {"app_id": 1, "drain_id": 1, "frame_key": new_id(), "day": received_at.date(), "received_at": received_at}
    async with db.begin() as conn:
        await conn.execute(frames.insert(), frame)
        await conn.execute(chunks.insert(), chunk | {"lines": 1, "processes": [], "size": 1, "body": b"x"})
        await conn.execute(
            events.insert(),
            event
            | {"source": "app", "process": "api", "message": "m", "fields": {}, "flags": []}
            | {"chunk_id": chunk["id"], "place": 0},
        )


@pytest.mark.parametrize(
    ("parent", "day", "name", "since", "until"),
    [
        ("chunks", date(2026, 11, 24), "chunks_2026_11_24", date(2026, 11, 24), date(2026, 11, 25)),
        ("frames", date(2026, 12, 31), "frames_2026_12_31", date(2026, 12, 31), date(2027, 1, 1)),
        ("traffic", date(2026, 11, 24), "traffic_2026_w48", date(2026, 11, 23), date(2026, 11, 30)),
        ("events", date(2026, 11, 24), "events_2026_w48", date(2026, 11, 23), date(2026, 11, 30)),
        ("events", date(2027, 1, 3), "events_2026_w53", date(2026, 12, 28), date(2027, 1, 4)),  # a Sunday
        ("events", date(2027, 1, 4), "events_2027_w01", date(2027, 1, 4), date(2027, 1, 11)),
    ],
)
def test_a_day_belongs_to_the_partition_of_that_name(
    parent: str, day: date, name: str, since: date, until: date
) -> None:
    partition = Partition.of(parent, day)
    assert (partition.name, partition.since, partition.until) == (name, since, until)
    assert Partition.named(name) == partition


def test_a_day_of_chunks_has_a_partition_for_the_merged_ones_beside_that_for_the_others() -> None:
    partition = Partition.of("chunks", date(2026, 11, 24), merged=True)
    assert partition.name == "chunks_2026_11_24_merged"
    assert Partition.named(partition.name) == partition


@pytest.mark.parametrize(
    "name",
    [
        *("chunks", "chunks_2026_w48", "chunks_2026_02_30", "events_2026_w54", "apps_2026_11_24"),
        *("events_2026_w48_merged", "frames_2026_11_24_merged", "chunks_2026_11_24_merged_merged"),
    ],
)
def test_a_table_of_another_name_is_no_partition_of_ours(name: str) -> None:
    assert Partition.named(name) is None


def test_yesterday_and_three_days_ahead_are_wanted() -> None:
    days = ("2026_12_31", "2027_01_01", "2027_01_02", "2027_01_03", "2027_01_04")
    assert [partition.name for partition in wanted(NEW_YEAR) if partition.parent == "frames"] == [
        f"frames_{day}" for day in days
    ]
    assert [partition.name for partition in wanted(NEW_YEAR) if partition.parent == "chunks"] == [
        f"chunks_{day}{merged}" for day in days for merged in ("", "_merged")
    ]
    assert [partition.name for partition in wanted(NEW_YEAR) if partition.parent == "events"] == [
        "events_2026_w53",
        "events_2027_w01",
    ]


def test_days_are_those_of_utc_wherever_the_clock_stands() -> None:
    assert wanted(NEW_YEAR.astimezone(timezone(timedelta(hours=-8)))) == wanted(NEW_YEAR)


async def test_a_migrated_database_takes_rows_of_yesterday_today_and_the_days_ahead(db: Database) -> None:
    now = datetime.now(UTC)
    for days in (-1, 0, 3):
        await keep_rows(db, now + timedelta(days=days))


async def test_rows_of_any_time_can_be_kept_once_their_partitions_are_ensured(db: Database) -> None:
    with pytest.raises(DBAPIError, match="no partition"):
        await keep_rows(db, TUESDAY)
    await made(db, TUESDAY)
    await keep_rows(db, TUESDAY)


async def test_partitions_are_made_once(db: Database) -> None:
    assert len(await made(db, TUESDAY)) == ALL
    assert await made(db, TUESDAY) == []


async def test_what_midnight_has_brought_is_missing_only_once_there_was_time_to_make_it(db: Database) -> None:
    await made(db, TUESDAY)
    midnight = TUESDAY + timedelta(hours=12)
    async with db.read() as conn:
        assert await missing(conn, midnight - timedelta(seconds=1)) == []
        assert await missing(conn, midnight + timedelta(hours=1)) == []
        assert await missing(conn, midnight + timedelta(hours=3)) == [
            *("frames_2031_11_29", "chunks_2031_11_29", "chunks_2031_11_29_merged"),
        ]


async def test_partitions_made_by_several_at_once_are_made_once(db: Database) -> None:
    by_each = await asyncio.gather(*[made(db, TUESDAY) for _ in range(4)])
    assert sorted(len(names) for names in by_each) == [0, 0, 0, ALL]


async def test_partitions_are_made_while_rows_are_being_written(db: Database) -> None:
    async with db.begin() as writing:
        await writing.execute(text("lock table chunks, events, frames in row exclusive mode"))
        async with asyncio.timeout(30):
            assert len(await made(db, TUESDAY)) == ALL


async def test_chunk_bodies_are_stored_as_they_come_in_every_partition(db: Database) -> None:
    async with db.read() as conn:
        bodies = "from pg_attribute where attrelid::regclass::text ~ '^chunks' and attname = 'body'"
        storages = await conn.scalars(text(f"select distinct attstorage::text {bodies}"))
        assert list(storages) == ["e"]


async def test_only_partitions_that_are_wholly_older_than_the_retention_are_dropped(db: Database) -> None:
    await made(db, TUESDAY)  # days of the 24th to the 28th, the week from the 24th
    weeks, days = timedelta(days=14), timedelta(days=3)
    retention = Retention(chunks=timedelta(days=7), events=weeks, frames=days, traffic=weeks)
    await drop_old(db, TUESDAY - timedelta(days=8), retention)  # those of the days in which this test runs
    assert await drop_old(db, TUESDAY + timedelta(days=8), retention) == [
        *("frames_2031_11_24", "frames_2031_11_25", "frames_2031_11_26", "frames_2031_11_27", "frames_2031_11_28"),
        *("chunks_2031_11_24", "chunks_2031_11_24_merged", "chunks_2031_11_25", "chunks_2031_11_25_merged"),
    ]
    assert "events_2031_w48" not in await drop_old(db, TUESDAY + timedelta(days=19), retention)
    assert await drop_old(db, TUESDAY + timedelta(days=20), retention) == ["events_2031_w48", "traffic_2031_w48"]


@pytest.fixture
async def aged(db: Database) -> Database:
    """A database that has partitions of the days around TUESDAY and around LATER, and no others."""
    await drop_old(db, TUESDAY - timedelta(days=9), Retention())
    for now in (TUESDAY, LATER):
        await made(db, now)
    return db


async def test_rows_are_written_and_read_while_a_drop_waits_for_somebody_who_has_been_reading(aged: Database) -> None:
    async with aged.read() as reading:
        await reading.execute(text("select count(*) from chunks"))
        dropping = asyncio.create_task(drop_old(aged, LATER, Retention(), patience=300))
        async with asyncio.timeout(30):
            while "chunks_2031_11_24" in await attached(aged, "chunks"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _ in range(10):
            async with asyncio.timeout(30):
                await keep_rows(aged, LATER)
                async with aged.read() as conn:
                    await conn.execute(text("select count(*) from chunks"))
        assert not dropping.done()
    assert set(OLD_CHUNKS) < set(await dropping)


async def test_what_somebody_reads_for_too_long_is_left_to_the_next_call(aged: Database) -> None:
    async with aged.read() as reading:
        await reading.execute(text("select count(*) from chunks"))
        first = await drop_old(aged, LATER, Retention(), patience=0.2)
    second = await drop_old(aged, LATER, Retention())

    assert [name for name in first if not name.startswith("frames")] == []
    assert second == OLD_CHUNKS


@pytest.mark.parametrize("done", ["begun to detach", "detached"])
async def test_a_drop_that_was_killed_half_way_is_finished_by_the_next(aged: Database, done: str) -> None:
    conn = await aged.asyncpg()
    detaching = "alter table chunks detach partition chunks_2031_11_24"
    if done == "detached":
        await conn.execute(detaching)
    else:
        async with aged.read() as reading:
            await reading.execute(text("select count(*) from chunks"))
            begun = asyncio.create_task(conn.execute(f"{detaching} concurrently"))
            async with asyncio.timeout(30):
                while "chunks_2031_11_24" in await attached(aged, "chunks"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            begun.cancel()
            await asyncio.wait([begun])
    await conn.close()

    assert set(OLD_CHUNKS) < set(await drop_old(aged, LATER, Retention()))
    async with aged.read() as reading:
        assert await reading.scalar(text("select to_regclass('chunks_2031_11_24')")) is None


async def test_of_several_that_drop_at_once_one_does_it(aged: Database) -> None:
    by_each = await asyncio.gather(*[drop_old(aged, LATER, Retention()) for _ in range(3)])
    assert sorted(bool(names) for names in by_each) == [False, False, True]
    assert not set(OLD_CHUNKS) & set(await attached(aged, "chunks"))
