"""Once, in order, and shared: many deliveries and many workers, over real sockets and a real database."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from receiver import Receiver, answer, held_until, reset
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.notify.fan_out import fan_out
from service.store import claims
from service.store.database import Database

from .outbox import NOON, PUBLIC_URL, SYSTEM_TLS, MakeDeliverer, add, after, append, ledger, rounds, step


async def test_a_step_waits_for_the_one_before_it_and_other_incidents_do_not(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(500), answer(204)]) as receiver:
        await add(db, receiver.url)
        await step(db, "opened")
        await rounds(deliverer)
        await step(db, "acknowledged", 2)
        await step(db, "opened", of=2)
        assert await rounds(deliverer, at=after(1)) == 1
        assert await rounds(deliverer, at=after(5)) == 2

    subjects = [json.loads(one.body)["data"]["incident"]["subject"] for one in receiver.requests]
    types = [json.loads(one.body)["type"] for one in receiver.requests]
    assert subjects == ["web1", "web2", "web1", "web1"]
    assert types[2:] == ["incident.opened", "incident.acknowledged"]


async def test_an_opening_that_was_never_delivered_and_is_over_is_sent_once_as_both(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(503), answer(204)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        await rounds(deliverer)
        await step(db, "resolved", 2, at=after(120), status="resolved")
        await rounds(deliverer, at=after(121))

    body = json.loads(receiver.requests[1].body)
    assert len(receiver.requests) == 2
    assert (body["type"], body["data"]["incident"]["late_by_s"]) == ("incident.resolved", 121)
    assert body["data"]["incident"]["opened_at"] == "2026-05-11T12:00:00.000000Z"
    assert [(one.type, one.status) for one in await ledger(db, endpoint.id)] == [
        ("incident.opened", "superseded"),
        ("incident.resolved", "delivered"),
    ]


async def test_what_opened_and_ended_before_anybody_was_told_is_one_message(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url)
        await step(db, "opened")
        await step(db, "resolved", 2, at=after(60), status="resolved")
        await rounds(deliverer, at=after(3600))

    [request] = receiver.requests
    body = json.loads(request.body)
    assert (body["type"], body["data"]["incident"]["late_by_s"]) == ("incident.resolved", 3600)


async def test_an_opening_that_is_being_sent_is_not_superseded(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        claimed = await claim_one(db, deliverer)
        await step(db, "resolved", 2, status="resolved")
        assert await rounds(deliverer, at=after(1)) == 0
        await rounds(deliverer, at=claimed.until + timedelta(seconds=1))

    assert [one.status for one in await ledger(db, endpoint.id)] == ["superseded", "delivered"]


async def test_whoever_dies_with_a_claim_is_followed_and_the_id_stays(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url)
        await step(db, "opened")
        claimed = await claim_one(db, deliverer)
        assert await rounds(deliverer, at=claimed.until - timedelta(seconds=1)) == 0
        assert await rounds(deliverer, at=claimed.until) == 1

    assert [one.id for one in receiver.requests] == [str(claimed.id)]


async def test_after_ten_minutes_away_everything_arrives_once_for_each_id_and_in_order(embedded_url: str) -> None:
    async with Receiver([reset]) as receiver, WayOut(tls=SYSTEM_TLS) as way_out, opened(embedded_url) as db:
        deliverer = Deliverer(db, way_out, public_url=PUBLIC_URL)
        await add(db, receiver.url)
        for minute in range(10):
            async with db.begin() as conn:
                for n in range(minute * 10, minute * 10 + 10):
                    await append(conn, "opened", of=n, at=after(minute * 60))
                    if n % 4 == 0:
                        await append(conn, "acknowledged", 2, of=n, at=after(minute * 60 + 1))
            await deliverer.round(now=after(minute * 60))
        receiver.script, before = [answer(204)], len(receiver.requests)
        await rounds(deliverer, at=after(1200))

    arrived = receiver.requests[before:]
    assert before == 40
    assert len(arrived) == len({one.id for one in arrived}) == 125
    told: defaultdict[str, list[str]] = defaultdict(list)
    for request in arrived:
        body = json.loads(request.body)
        told[body["data"]["incident"]["subject"]].append(body["type"].removeprefix("incident."))
    assert Counter(map(tuple, told.values())) == {("opened",): 75, ("opened", "acknowledged"): 25}


async def test_two_that_share_the_work_deliver_everything_once(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url)
        for n in range(40):
            await step(db, "acknowledged", of=n)
        await asyncio.gather(*(rounds(make_deliverer()) for _ in range(3)))
        await rounds(make_deliverer())

    assert len(receiver.requests) == len({one.id for one in receiver.requests}) == 40


async def test_no_more_than_four_are_under_way_at_an_endpoint_also_for_two_workers(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    released = asyncio.Event()
    async with Receiver([held_until(released)]) as receiver:
        await add(db, receiver.url)
        for n in range(10):
            await step(db, "opened", of=n)
        workers = [asyncio.create_task(make_deliverer(attempt_seconds=600.0).round(now=NOON)) for _ in range(3)]
        await receiver.received(4)
        await asyncio.wait(workers, timeout=0.2)  # which a fifth would have come in
        released.set()
        await asyncio.gather(*workers)

    assert receiver.most_under_way == len(receiver.requests) == 4


async def claim_one(db: Database, deliverer: Deliverer) -> claims.Claim:
    """Fans out and claims, as a worker does that dies before it sends."""
    async with db.begin() as conn:
        await fan_out(conn, public_url=PUBLIC_URL, now=NOON)
    async with db.begin() as conn:
        due = await claims.due_endpoints(conn, now=NOON)
        [claimed] = await claims.claim(conn, due, now=NOON, limit=9, per_endpoint=4, lasts=timedelta(seconds=30))
    return claimed


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    db = Database.open(url)
    yield db
    await db.close()
