"""A URL that is called each minute through the outbox; the clock is an argument."""

import asyncio
import json

import pytest

from receiver import Receiver, answer
from service.notify import endpoints
from service.notify.heartbeat import is_plainly_private
from service.store.database import Database

from .outbox import PUBLIC_URL, MakeDeliverer, add, after, ledger, rounds, step


async def beating(db: Database) -> int:
    """The heartbeat's endpoint."""
    [found] = [one for one in await endpoints.listed(db) if one.format == "heartbeat"]
    return found.id


async def test_it_is_called_once_in_each_minute(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver:
        deliverer = make_deliverer(heartbeat_url=receiver.url)
        for seconds in (0, 1, 59, 60, 119, 125, 300):
            await rounds(deliverer, at=after(seconds))

    assert [json.loads(one.body)["timestamp"][11:19] for one in receiver.requests] == [
        "12:00:00",
        "12:01:00",
        "12:02:05",
        "12:05:00",
    ]
    assert len({one.id for one in receiver.requests}) == 4
    assert json.loads(receiver.requests[0].body)["type"] == "heartbeat"


async def test_however_many_workers_there_are(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver:
        workers = [make_deliverer(heartbeat_url=receiver.url) for _ in range(5)]
        for minute in range(3):
            await asyncio.gather(*(rounds(one, at=after(60 * minute)) for one in workers))
        await rounds(workers[0], at=after(125))

    assert len(receiver.requests) == 3


async def test_one_that_failed_is_tried_again_until_the_next_takes_its_place(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    async with Receiver([answer(503), answer(503), answer(204)]) as receiver:
        deliverer = make_deliverer(heartbeat_url=receiver.url)
        for seconds in (0, 5, 60, 200):
            await rounds(deliverer, at=after(seconds))
        found = await ledger(db, await beating(db))

    assert [one.status for one in found] == ["superseded", "delivered", "delivered"]
    assert len({one.id for one in receiver.requests}) == 3


async def test_it_is_never_given_up_whatever_is_answered(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver([answer(410)]) as receiver:
        deliverer = make_deliverer(heartbeat_url=receiver.url)
        for day in range(8):
            await rounds(deliverer, at=after(day * 86_400))

    assert len(receiver.requests) >= 8
    assert (await endpoints.one(db, await beating(db))).enabled


async def test_incidents_are_not_told_there(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver, Receiver() as other:
        deliverer = make_deliverer(heartbeat_url=receiver.url)
        for minute in range(4):
            await rounds(deliverer, at=after(60 * minute))
        endpoint = (await add(db, other.url)).endpoint
        await step(db, "opened")
        await rounds(deliverer, at=after(181))

    assert {json.loads(one.body)["type"] for one in receiver.requests} == {"heartbeat"}
    assert len(other.requests) == 1
    assert endpoint.id == 2  # the beats take no numbers


async def test_the_settings_say_where_it_goes_and_nobody_else(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as one, Receiver() as other:
        await rounds(make_deliverer(heartbeat_url=one.url))
        id = await beating(db)
        for call in (
            endpoints.test(db, id, public_url=PUBLIC_URL),
            endpoints.rotate(db, id),
            endpoints.disable(db, id),
            endpoints.enable(db, id),
            endpoints.remove(db, id),
        ):
            with pytest.raises(endpoints.Refused, match="is the heartbeat"):
                await call
        await rounds(make_deliverer(heartbeat_url=other.url), at=after(60))
        await rounds(make_deliverer(), at=after(120))

    assert (len(one.requests), len(other.requests)) == (1, 1)
    assert await endpoints.listed(db) == []


async def test_of_a_day_s_beats_older_ones_are_forgotten(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver:
        deliverer = make_deliverer(heartbeat_url=receiver.url)
        for seconds in (0, 60, 86_400, 86_520):
            await rounds(deliverer, at=after(seconds))
        found = await ledger(db, await beating(db))

    assert [one.due_at for one in found] == [after(86_400), after(86_520)]


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:9000/x", True),
        ("http://localhost/x", True),
        ("http://192.168.1.5/x", True),
        ("https://alarm.example.com/x", False),
        ("https://8.8.8.8/x", False),
    ],
)
def test_a_private_address_is_allowed_where_the_setting_says_it_itself(url: str, private: bool) -> None:
    assert is_plainly_private(url) is private
