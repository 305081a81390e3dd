"""Wake-ups: a notification sets the event, and so does whatever may have hidden one."""

import asyncio

import asyncpg
import pytest

from service.store.database import Database
from service.store.wakeups import PENDING, listen


async def notify(url: str, channel: str) -> None:
    conn = await asyncpg.connect(url)
    await conn.execute(f"notify {channel}")
    await conn.close()


async def test_a_notification_wakes_who_listens(db: Database) -> None:
    async with listen(db, PENDING) as woken, asyncio.timeout(20):
        await woken.wait()  # listening has begun
        woken.clear()
        await notify(db.url, PENDING)
        await woken.wait()


async def test_a_notification_on_another_channel_wakes_nobody(db: Database) -> None:
    async with listen(db, PENDING) as woken, asyncio.timeout(20):
        await woken.wait()
        woken.clear()
        await notify(db.url, "other")
        await notify(db.url, "other")
        assert not woken.is_set()


async def test_listening_begins_again_after_its_connection_was_ended_and_wakes_once_for_what_was_missed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.wakeups._RETRY_SECONDS", 0.05)
    async with listen(db, PENDING) as woken, asyncio.timeout(20):
        await woken.wait()
        woken.clear()
        conn = await asyncpg.connect(db.url)
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and query ilike 'listen%'"
        )
        await conn.close()
        await woken.wait()
        woken.clear()
        await notify(db.url, PENDING)
        await woken.wait()


async def test_listening_to_a_database_that_is_away_does_not_hold_anyone_up() -> None:
    async with listen(Database.open("postgres://user@127.0.0.1:1/shop"), PENDING) as woken, asyncio.timeout(20):
        await asyncio.sleep(0)
        assert not woken.is_set()


async def test_listening_ends_with_its_block(db: Database) -> None:
    async with listen(db, PENDING) as woken, asyncio.timeout(20):
        await woken.wait()
    conn = await asyncpg.connect(db.url)
    left = "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    async with asyncio.timeout(20):
        while await conn.fetchval(left):
            pass
    await conn.close()
