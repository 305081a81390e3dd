import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from service.store import drain_counts, drains
from service.store.database import Database
from service.store.drain_counts import NO_DRAIN, DrainCounts, Tally

from .test_drains import add as add_drain

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
SINCE, LATER = NOON, NOON + timedelta(minutes=1)


@pytest_asyncio.fixture(loop_scope="session")
async def db(emptied_url: str) -> AsyncIterator[Database]:
    """One server is enough for counting."""
    opened = Database.open(emptied_url)
    yield opened
    await opened.close()


def tally(drain: drains.Drain, **counts: Any) -> Tally:
    skews = [timedelta(milliseconds=ms) for ms in counts.pop("skews", ())]
    made = Tally(drain.app_id, drain.id, **counts)
    made.skews.extend(skews)
    return made


async def told(db: Database, *tallies: Tally) -> None:
    """One process adds what it has counted."""
    async with db.begin() as conn:
        await drain_counts.add(conn, tallies)


async def counts(db: Database, drain: drains.Drain) -> DrainCounts:
    async with db.read() as conn:
        found = await drains.one(conn, drain.id)
    assert found
    return found.counts


async def test_a_drain_that_was_never_heard_has_sent_nothing(db: Database) -> None:
    drain = await add_drain(db, "shop")

    assert await counts(db, drain) == DrainCounts()


async def test_what_two_processes_have_counted_is_added_up(db: Database) -> None:
    drain, other = await add_drain(db, "shop"), await add_drain(db, "shop")
    await told(
        db, tally(drain, frames=2, lines=5, bytes=900, repeats=1, heard_at=LATER, refusals={413: 1}, refused_at=NOON)
    )
    await told(
        db,
        tally(
            drain,
            frames=1,
            lines=1,
            bytes=100,
            damaged=2,
            mismatches=1,
            heard_at=NOON,
            refusals={413: 2},
            refused_at=LATER,
        ),
        tally(other, frames=7),
    )

    seen = await counts(db, drain)

    assert (seen.frames, seen.lines, seen.bytes, seen.repeats, seen.damaged, seen.mismatches) == (3, 6, 1000, 1, 2, 1)
    assert (seen.refusals, seen.refused_at) == ({"413": 3}, LATER)
    assert seen.heard_at == LATER
    assert (await counts(db, other)).frames == 7


async def test_a_wrong_secret_stands_with_each_drain_of_its_app_and_with_no_other(db: Database) -> None:
    first, second, other = [await add_drain(db, app) for app in ("shop", "shop", "blog")]
    await told(db, Tally(first.app_id, NO_DRAIN, refusals={401: 3}, refused_at=NOON))
    await told(db, tally(first, refusals={415: 1}, refused_at=LATER))

    assert (await counts(db, first)).refusals == {"401": 3, "415": 1}
    assert (await counts(db, second)).refusals == {"401": 3}
    assert (await counts(db, other)).refusals == {}


async def test_what_was_lost_is_the_greatest_count_of_each_since_and_not_their_sum(db: Database) -> None:
    drain = await add_drain(db, "shop")
    await told(db, tally(drain, losses={SINCE: 3}))
    await told(db, tally(drain, losses={SINCE: 10}))
    await told(db, tally(drain, losses={SINCE: 7, LATER: 5}))
    await told(db, tally(drain, losses={SINCE: 9}))

    seen = await counts(db, drain)

    assert seen.lost == 15
    assert seen.lost_at is not None


async def test_two_processes_that_are_told_of_one_loss_at_once_count_it_once(db: Database) -> None:
    drain = await add_drain(db, "shop")

    await asyncio.gather(*(told(db, tally(drain, losses={SINCE: 10})) for _ in range(5)))

    assert (await counts(db, drain)).lost == 10


async def test_a_loss_of_last_week_is_forgotten_and_stays_in_the_sum(db: Database) -> None:
    drain = await add_drain(db, "shop")
    await told(db, tally(drain, losses={SINCE: 10}))
    async with db.begin() as conn:
        await conn.execute(text("update drain_losses set noted_at = now() - interval '8 days'"))

    await told(db, tally(drain, losses={LATER: 1}))

    async with db.read() as conn:
        kept = list((await conn.execute(text("select since from drain_losses"))).scalars())
    assert kept == [LATER]
    assert (await counts(db, drain)).lost == 11


async def test_the_clock_skew_is_the_median_of_the_newest_told(db: Database) -> None:
    drain = await add_drain(db, "shop")
    await told(db, tally(drain, skews=[9000]))
    await told(db, tally(drain, skews=[300, -86_400_000, 200, 250, 10**12]))
    await told(db, tally(drain, frames=1))

    assert (await counts(db, drain)).skew_ms == 250


async def test_many_processes_that_tell_of_the_same_drains_wait_for_each_other_and_not_in_a_circle(
    db: Database,
) -> None:
    both = [await add_drain(db, "shop"), await add_drain(db, "blog")]

    async def tell(order: int) -> None:
        for _ in range(5):
            await told(db, *(tally(one, frames=1, refusals={413: 1}, refused_at=NOON) for one in both[::order]))

    await asyncio.gather(tell(1), tell(-1), tell(1), tell(-1))

    assert [(await counts(db, one)).frames for one in both] == [20, 20]


def test_what_could_not_be_told_is_added_to_what_was_counted_since() -> None:
    earlier = Tally(1, 2, frames=1, bytes=5, heard_at=NOON, refusals={413: 1}, losses={SINCE: 9})
    later = Tally(
        1, 2, frames=2, bytes=7, heard_at=LATER, refusals={413: 1, 503: 1}, refused_at=LATER, losses={SINCE: 4}
    )

    earlier.add(later)

    assert (earlier.frames, earlier.bytes, earlier.heard_at, earlier.refused_at) == (3, 12, LATER, LATER)
    assert (earlier.refusals, earlier.losses) == ({413: 2, 503: 1}, {SINCE: 9})
