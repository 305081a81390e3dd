"""What nobody acknowledges is told again; over a real database and real sockets, with the clock as an argument."""

import asyncio
import json

from sqlalchemy import text

from receiver import Receiver, answer
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.notify.fan_out import fan_out
from service.notify.reminders import remind
from service.store.database import Database

from .lives import opened, reasons, silenced
from .outbox import PUBLIC_URL, MakeDeliverer, add, after, keep, ledger, rounds, step


def types(receiver: Receiver) -> list[str]:
    return [json.loads(one.body)["type"] for one in receiver.requests]


async def test_an_open_incident_is_told_again_each_time_the_interval_is_over(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, repeat_s=600)
        await add(db, f"{receiver.url}/unreminded")
        await keep(db)
        await step(db, "opened")
        for seconds in (0, 599, 600, 1000, 1199, 1200):
            await rounds(deliverer, at=after(seconds))

    reminders = [one for one in receiver.requests if json.loads(one.body)["type"] == "incident.reminder"]
    assert len(reminders) == len({one.id for one in reminders}) == 2
    assert {one.path for one in reminders} == {"/hook"}
    assert json.loads(reminders[0].body)["data"]["incident"]["title"] == "web keeps crashing"


async def test_what_is_acknowledged_or_over_is_no_longer_reminded_of(db: Database, deliverer: Deliverer) -> None:
    for n, status in enumerate(("acknowledged", "resolved"), 1):
        async with Receiver() as receiver:
            await add(db, receiver.url, repeat_s=600, match=f"subject:web{n}")
            await keep(db, of=n)
            await step(db, "opened", of=n)
            await rounds(deliverer)
            await step(db, status, 2, of=n, at=after(300), status=status)
            await keep(db, of=n, status=status)
            await rounds(deliverer, at=after(300))
            await rounds(deliverer, at=after(3000))

        assert types(receiver) == ["incident.opened", f"incident.{status}"]


async def test_who_was_not_told_of_an_incident_is_not_reminded_of_it(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await keep(db)
        await step(db, "opened")
        await rounds(deliverer)
        await add(db, receiver.url, repeat_s=600)
        await rounds(deliverer, at=after(3000))

    assert receiver.requests == []


async def test_a_reminder_that_did_not_arrive_is_overtaken_by_the_next_step(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(204), answer(503), answer(204)]) as receiver:
        endpoint = (await add(db, receiver.url, repeat_s=600)).endpoint
        await keep(db)
        await step(db, "opened")
        await rounds(deliverer)
        await rounds(deliverer, at=after(600))
        await step(db, "resolved", 2, at=after(601), status="resolved")
        await keep(db, status="resolved")
        await rounds(deliverer, at=after(602))
        await rounds(deliverer, at=after(3000))

    assert types(receiver) == ["incident.opened", "incident.reminder", "incident.resolved"]
    assert [one.status for one in await ledger(db, endpoint.id)] == ["delivered", "superseded", "delivered"]


async def test_while_a_receiver_is_away_no_reminders_pile_up(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(503)]) as receiver:
        endpoint = (await add(db, receiver.url, repeat_s=60)).endpoint
        await keep(db)
        await step(db, "opened")
        for minute in range(10):
            await rounds(deliverer, at=after(60 * minute))

    assert [one.type for one in await ledger(db, endpoint.id)] == ["incident.opened"]


async def test_of_what_has_not_been_sent_yet_nobody_is_reminded(db: Database) -> None:
    await add(db, "http://127.0.0.1:9/hook", repeat_s=600)
    await keep(db)
    await step(db, "opened")
    async with db.begin() as conn:
        await fan_out(conn, public_url=PUBLIC_URL, now=after(0))
    async with db.begin() as conn:
        assert await remind(conn, public_url=PUBLIC_URL, now=after(600)) == 0


async def test_workers_that_remind_at_the_same_time_do_so_once(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, repeat_s=600)).endpoint
        await keep(db)
        await step(db, "opened")
        await rounds(make_deliverer())

        async def once() -> None:
            async with db.begin() as conn:
                await remind(conn, public_url=PUBLIC_URL, now=after(600))

        await asyncio.gather(*(once() for _ in range(4)))

    assert [one.type for one in await ledger(db, endpoint.id)] == ["incident.opened", "incident.reminder"]


async def test_who_was_told_of_an_incident_in_a_digest_is_reminded_of_it(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, repeat_s=600)
        for n in range(12):
            await keep(db, of=n)
            await step(db, "opened", of=n)
        await rounds(deliverer, at=after(10))
        await rounds(deliverer, at=after(700))

    assert types(receiver).count("incident.reminder") == 12


async def test_each_reminder_is_a_decision_with_its_reason_and_its_delivery(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, repeat_s=600)
        one = await opened(db)
        for seconds in (0, 600, 900, 1200):
            await rounds(deliverer, at=after(seconds))

    why = "nobody has acknowledged it, and it wants a reminder each 600 s"
    assert await reasons(db, one) == [("opened", True, 'its filter "" holds'), (None, True, why), (None, True, why)]
    async with db.read() as conn:
        told = await conn.execute(text("select d.type from decisions c join deliveries d on d.id = c.delivery_id"))
        assert sorted(told.scalars()) == ["incident.opened", "incident.reminder", "incident.reminder"]


async def test_a_reminder_that_is_held_back_is_said_once_and_again_when_the_reason_is_another(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, repeat_s=600)
        one = await opened(db)
        await rounds(deliverer)
        first = await silenced(db, "app:shop", since=300, until=1300, comment="one")
        second = await silenced(db, "app:shop", since=900, until=3000, comment="two")
        for seconds in range(600, 2000, 10):
            await rounds(deliverer, at=after(seconds))

    held = [reason.split(" (")[0] for step, told, reason in await reasons(db, one) if step is None and not told]
    # The second is found twice: as the first one ends, and as what holds the next reminder back.
    assert held == [f"silence {first.id}", f"silence {second.id}", f"silence {second.id}"]
    assert types(receiver) == ["incident.opened", "silence.ended"]


async def test_a_reminder_that_its_route_no_longer_wants_is_said_once(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, repeat_s=600)).endpoint
        one = await opened(db)
        await rounds(deliverer)
        await endpoints.change(db, endpoint.id, {"match": "app:blog"})
        for seconds in (600, 610, 1200):
            await rounds(deliverer, at=after(seconds))

    assert (await reasons(db, one))[1:] == [(None, False, 'its filter "app:blog" does not hold')]
