"""Once per frame id: within a day, over midnight, by two at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.store import partitions
from service.store.database import Database
from service.store.frames import FrameKey, claim

MIDNIGHT = datetime(2026, 5, 12, tzinfo=UTC)


@pytest.fixture
async def connections(db: Database) -> AsyncIterator[tuple[Any, Any]]:
    """Two connections to a database with the partitions of these days."""
    for day in (MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(days=1)):
        async with db.begin() as conn:
            await partitions.ensure(conn, day)
    opened = (await db.asyncpg(), await db.asyncpg())
    yield opened
    for one in opened:
        await one.close()


def key(digest: bytes | None = None) -> FrameKey:
    return FrameKey(1, 1, digest or uuid4().bytes)


@pytest.mark.parametrize("seconds", [1, 3600, 86_399])
@pytest.mark.parametrize("first", [MIDNIGHT - timedelta(hours=1), MIDNIGHT - timedelta(seconds=1), MIDNIGHT])
async def test_a_frame_is_known_for_a_day_also_over_midnight(
    connections: tuple[Any, Any], first: datetime, seconds: int
) -> None:
    one, other = key(), key()
    assert await claim(connections[0], [one], received_at=first) == {one}
    assert await claim(connections[1], [one, other], received_at=first + timedelta(seconds=seconds)) == {other}


async def test_after_a_day_it_is_another_frame(connections: tuple[Any, Any]) -> None:
    one = key()
    assert await claim(connections[0], [one], received_at=MIDNIGHT - timedelta(hours=1)) == {one}
    assert await claim(connections[0], [one], received_at=MIDNIGHT + timedelta(hours=23, minutes=1)) == {one}


async def test_what_has_waited_on_a_disk_is_a_repeat_of_what_was_kept_in_the_24_hours_before_it_came(
    connections: tuple[Any, Any],
) -> None:
    one, other = key(), key()
    first = MIDNIGHT - timedelta(hours=1)
    assert await claim(connections[0], [one], received_at=first) == {one}
    drained_at = first + timedelta(hours=50)
    came_at = first + timedelta(hours=23)
    assert await claim(connections[1], [one, other], received_at=drained_at, came_at=came_at) == {other}
    assert await claim(connections[1], [one], received_at=drained_at, came_at=came_at + timedelta(hours=2)) == {one}


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(seconds=2)], ids=["the same day", "over midnight"])
async def test_of_two_at_once_one_has_it_and_the_other_waits_to_know(
    connections: tuple[Any, Any], apart: timedelta
) -> None:
    one, before = key(), MIDNIGHT - timedelta(seconds=1)
    first, second = connections
    transaction = first.transaction()
    await transaction.start()
    assert await claim(first, [one], received_at=before) == {one}
    waiting = asyncio.create_task(claim(second, [one], received_at=before + apart))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    await transaction.commit()
    assert await waiting == set()


async def test_who_comes_second_has_it_if_the_first_gives_up(connections: tuple[Any, Any]) -> None:
    one = key()
    transaction = connections[0].transaction()
    await transaction.start()
    assert await claim(connections[0], [one], received_at=MIDNIGHT) == {one}
    waiting = asyncio.create_task(claim(connections[1], [one], received_at=MIDNIGHT))
    await asyncio.sleep(0.05)
    await transaction.rollback()
    assert await waiting == {one}


async def test_two_with_the_same_frames_in_another_order_do_not_lock_each_other_out(
    connections: tuple[Any, Any],
) -> None:
    keys = [key() for _ in range(50)]
    found = await asyncio.gather(
        claim(connections[0], keys, received_at=MIDNIGHT), claim(connections[1], keys[::-1], received_at=MIDNIGHT)
    )
    assert sorted(map(len, found)) == [0, 50]
