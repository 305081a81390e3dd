"""Which frames are still on their way."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from service.store import clocks, spools
from service.store.database import Database

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ANY_AGE = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
async def conn(db: Database) -> AsyncIterator[Any]:
    opened = await db.asyncpg()
    yield opened
    await opened.close()


async def oldest(db: Database, *, started_at: datetime = LONG_AGO) -> datetime | None:
    async with db.read() as conn:
        return await spools.oldest(conn, started_at=started_at)


async def now(db: Database) -> datetime:
    async with db.read() as conn:
        return await clocks.now(conn)


async def silent_for(db: Database, seconds: float) -> None:
    """As if every process had last spoken so much earlier."""
    async with db.begin() as conn:
        await conn.execute(text(f"update spools set seen_at = seen_at - interval '{seconds} seconds'"))


async def test_without_spools_nothing_is_on_its_way(db: Database) -> None:
    assert await oldest(db) is None
    assert await oldest(db, started_at=await now(db)) is None


async def test_the_oldest_frame_of_all_processes_counts(db: Database, conn: Any) -> None:
    early = datetime.now(UTC) - timedelta(hours=1)
    await spools.say(conn, "a", early)
    await spools.say(conn, "b", early + timedelta(minutes=1))
    await spools.say(conn, "c", None)
    assert await oldest(db) == early
    await spools.say(conn, "a", None)
    assert await oldest(db) == early + timedelta(minutes=1)
    await spools.leave(conn, "b")
    assert await oldest(db) is None


async def test_after_an_outage_each_process_that_was_there_is_waited_for_until_it_speaks(
    db: Database, conn: Any
) -> None:
    await spools.say(conn, "a", None)
    await spools.say(conn, "b", None)
    back_at = await now(db)
    assert await oldest(db, started_at=back_at) == ANY_AGE
    await spools.say(conn, "a", None)
    assert await oldest(db, started_at=back_at) == ANY_AGE
    await spools.say(conn, "b", LONG_AGO)
    assert await oldest(db, started_at=back_at) == LONG_AGO
    await spools.say(conn, "b", None)
    assert await oldest(db, started_at=back_at) is None


async def test_a_process_that_is_gone_is_not_waited_for_long(db: Database, conn: Any) -> None:
    await spools.say(conn, "dead", LONG_AGO)
    assert await oldest(db, started_at=await now(db)) == ANY_AGE
    assert await oldest(db, started_at=await now(db) - timedelta(seconds=4)) == LONG_AGO
    await silent_for(db, 11)
    assert await oldest(db, started_at=await now(db) - timedelta(seconds=4)) is None
    assert await oldest(db) is None


async def test_processes_that_ended_without_a_word_are_forgotten_after_a_day(db: Database, conn: Any) -> None:
    await spools.say(conn, "dead", None)
    await silent_for(db, 25 * 3600)
    await spools.say(conn, "alive", None)
    await spools.leave(conn, "another")
    async with db.read() as reading:
        assert list(await reading.scalars(text("select holder from spools"))) == ["alive"]
