"""Many incidents at once: told together, never one by one, and never not at all."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver import Receiver, answer
from service.notify import storm
from service.notify.deliver import Deliverer
from service.store.database import Database

from .lives import HOOK, opened, over, reopened, told
from .outbox import NOON, add, after, ledger, rounds


@pytest.mark.parametrize(
    ("owed", "told_lately", "digest_at", "now", "holds"),
    [
        ([0], 0, None, 0, False),
        ([0, 0, 0], 0, None, 0, False),
        ([0, 0, 0, 0], 0, None, 1, True),  # there may be more to come
        ([0, 0, 0, 0], 0, None, 2, False),
        ([0, 1.9], 3, None, 1.95, True),
        ([0], 3, None, 2, False),
        ([0], 12, -10, 5, True),  # a digest was told: the next one a minute later
        ([0], 12, -10, 50, False),
        ([0], 12, -70, 0, True),
        ([100], 12, None, 0, False),  # another clock
    ],
)
def test_the_first_few_are_told_at_once_and_others_wait_for_more(
    owed: list[float], told_lately: int, digest_at: float | None, now: float, holds: bool
) -> None:
    digest = None if digest_at is None else after(digest_at)
    assert storm.holds_back([after(one) for one in owed], told=told_lately, digest_at=digest, now=after(now)) is holds


def test_no_opening_waits_longer_than_a_minute() -> None:
    assert not storm.holds_back([NOON], told=99, digest_at=after(59), now=NOON + timedelta(minutes=1))


async def test_more_than_ten_in_a_minute_are_one_digest_for_each_endpoint_that_wants_more_than_one(
    db: Database,
) -> None:
    both, _, few = await add(db, HOOK), await add(db, HOOK, match="app:other"), await add(db, HOOK, match="subject:s7")
    for n in range(11):
        await opened(db, subject=f"s{n}")

    assert sorted(await told(db)) == [("incidents.digest", ["crash_loop"] * 11), ("opened", "crash_loop")]
    assert [one.type for one in await ledger(db, both.endpoint.id)] == ["incidents.digest"]
    assert [one.type for one in await ledger(db, few.endpoint.id)] == ["incident.opened"]


async def test_ten_are_told_one_by_one(db: Database) -> None:
    await add(db, HOOK)
    for n in range(10):
        await opened(db, subject=f"s{n}")

    assert [type for type, _ in await told(db)] == ["opened"] * 10


async def test_what_was_told_by_a_digest_is_told_when_it_is_over_and_not_before_the_digest(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(503), answer(204)]) as receiver:
        await add(db, receiver.url)
        incidents = [await opened(db, subject=f"s{n}") for n in range(11)]
        await rounds(deliverer)
        await over(db, incidents[3], seconds=60)
        assert await rounds(deliverer, at=after(1)) == 0
        assert await rounds(deliverer, at=after(5)) == 2

    assert [b'"incidents.digest"' in one.body for one in receiver.requests] == [True, True, False]


async def test_what_is_over_by_the_time_of_the_digest_is_in_it_as_it_is(db: Database) -> None:
    await add(db, HOOK)
    incidents = [await opened(db, subject=f"s{n}") for n in range(11)]
    await over(db, incidents[0], seconds=1)

    assert [type for type, _ in await told(db)] == ["incidents.digest"]
    async with db.read() as conn:
        payload = (await conn.execute(text("select payload from deliveries"))).scalar_one()
    assert payload.count('"status":"resolved"') == 1


async def test_an_end_that_was_not_told_before_the_incident_came_back_is_not_told(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url)
        incident = await opened(db)
        await over(db, incident, seconds=10)
        await reopened(db, incident, seconds=20)
        await rounds(deliverer, at=after(30))

    [request] = receiver.requests
    assert b'"incident.reopened"' in request.body


async def test_while_an_apps_lines_wait_to_be_folded_nothing_of_it_is_told(db: Database) -> None:
    await add(db, HOOK)
    incident = await opened(db)
    async with db.begin() as conn:
        waiting = """
            insert into pending (app_id, chunk_id, received_at, newest_at, events)
            values (:app, gen_random_uuid(), now() - interval '11 seconds', now(), 1)"""
        await conn.execute(text(waiting), {"app": incident.app_id})
    assert await told(db) == []
    async with db.begin() as conn:
        await conn.execute(text("update transitions set made_at = now() - interval '3 minutes'"))

    assert await told(db) == [("opened", "crash_loop")]


async def test_who_asks_for_digests_alone_is_told_in_a_storm_alone(db: Database) -> None:
    endpoint = (await add(db, HOOK, types=["incidents.digest"])).endpoint
    await opened(db, "drain_loss")
    assert await told(db) == []
    for n in range(11):
        await opened(db, subject=f"s{n}")

    await told(db, seconds=61)
    assert [one.type for one in await ledger(db, endpoint.id)] == ["incidents.digest"]
