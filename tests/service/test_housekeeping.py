"""Housekeeping: done by any number of workers, and again whenever something was in the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text

from arriving import NOON
from keeping import keep
from service import housekeeping
from service.housekeeping import forget_old, keep_house, merge_chunks, tend_partitions
from service.settings import RetentionSettings
from service.store import chunks, partitions, workers
from service.store.chunks import Wanted
from service.store.database import Database
from service.store.ids import new_id
from service.store.tables import chunks as table
from service.store.tables import pending, quarantine
from vocabulary import message

RETENTION = RetentionSettings(lines=timedelta(days=7), events=timedelta(days=90))


@pytest_asyncio.fixture(loop_scope="session")
async def store(emptied_url: str) -> AsyncIterator[Database]:
    db = Database.open(emptied_url)
    yield db
    await db.close()


async def days_there(db: Database) -> set[str]:
    async with db.read() as conn:
        names = "select relname from pg_class where relkind = 'r' and relname ~ '^(frames|chunks)_'"
        return set(await conn.scalars(text(names)))


async def lines(db: Database) -> list[str]:
    async with db.read() as conn:
        page = await chunks.latest(conn, Wanted(), after=None, limit=1000)
    return [line.text for line in page.items]


async def test_partitions_are_made_ahead_and_those_that_were_kept_long_enough_are_dropped(embedded_url: str) -> None:
    db = Database.open(embedded_url)
    now = datetime.now(UTC)
    ten_days_ago = now - timedelta(days=10)
    async with db.begin() as conn:
        await partitions.ensure(conn, ten_days_ago)
        await conn.execute(text(f"drop table frames_{now + timedelta(days=2):%Y_%m_%d}"))
    await tend_partitions(db, RETENTION, now=now)

    there = await days_there(db)
    assert f"frames_{now + timedelta(days=2):%Y_%m_%d}" in there
    assert not [name for name in there if f"{ten_days_ago:%Y_%m_%d}" in name]
    assert f"chunks_{now - timedelta(days=7):%Y_%m_%d}" in there
    await db.close()


async def test_several_workers_merge_what_every_app_has_of_small_chunks(store: Database) -> None:
    began = datetime.now(UTC)
    for number in range(20):
        await keep(store, ("shop", "blog")[number % 2], message("app", "web.1", f"line {number}"))
    async with store.begin() as conn:  # all that was at noon of yesterday, and is folded
        await conn.execute(table.update().values(received_at=table.c.received_at - (began - NOON)))
        await conn.execute(pending.delete())

    day_after = NOON + timedelta(days=1)
    await asyncio.gather(*[merge_chunks(store, asyncio.Event(), now=day_after) for _ in range(3)])

    assert await lines(store) == [f"line {number}" for number in reversed(range(20))]
    async with store.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(table)) == 2


async def test_what_is_old_is_forgotten_step_by_step_until_nothing_is_left(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "FORGOTTEN_AT_ONCE", 2)
    now = datetime.now(UTC)
    row = {"app_id": 1, "reason": "broken", "body": b"x"}
    rows = [row | {"id": new_id(), "received_at": now - timedelta(days=days)} for days in (6, 8, 9, 10, 11, 12)]
    async with store.begin() as conn:
        await conn.execute(quarantine.insert(), rows)

    await forget_old(store, RETENTION, asyncio.Event(), now=now)

    async with store.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(quarantine)) == 1


async def test_a_database_that_is_away_is_waited_for_and_a_stop_ends_it_at_once() -> None:
    db = Database.open("postgresql://nobody@127.0.0.1:1/nothing")
    stop = asyncio.Event()
    keeping = asyncio.create_task(keep_house(db, RETENTION, stop, holder="one"))
    done, _ = await asyncio.wait([keeping], timeout=0.3)
    assert not done
    stop.set()
    async with asyncio.timeout(30):
        await keeping
    await db.close()


async def test_a_job_that_fails_is_tried_again_and_the_others_go_on(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "AGAIN_SECONDS", 0.01)
    async with store.begin() as conn:
        old = {"app_id": 1, "id": new_id(), "received_at": datetime(2026, 1, 1, tzinfo=UTC), "reason": "", "body": b""}
        await conn.execute(quarantine.insert(), old)
        await conn.execute(text("alter table merging rename to elsewhere"))
    stop = asyncio.Event()
    keeping = asyncio.create_task(keep_house(store, RETENTION, stop, holder="one"))
    try:
        await until_forgotten(store)
    finally:
        async with store.begin() as conn:
            await conn.execute(text("alter table elsewhere rename to merging"))
        stop.set()
        await keeping


async def until_forgotten(db: Database) -> None:
    async with asyncio.timeout(30):
        left: int | None = 1
        while left:
            await asyncio.sleep(0.02)
            async with db.read() as conn:
                left = await conn.scalar(select(func.count()).select_from(quarantine))


async def test_a_worker_counts_as_living_until_it_ends(store: Database) -> None:
    async def living() -> int:
        async with store.read() as conn:
            return (await workers.seen(conn)).living

    stop = asyncio.Event()
    keeping = asyncio.create_task(keep_house(store, RETENTION, stop, holder="one"))
    async with asyncio.timeout(30):
        while await living() == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await keeping

    assert await living() == 0
    async with store.read() as conn:
        assert (await workers.seen(conn)).seen_at is not None
