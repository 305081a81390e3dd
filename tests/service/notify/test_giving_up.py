"""Endpoints that are told nothing any more, and who hears of that."""

import json
from typing import Any

from receiver import Receiver, answer
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import add, after, ledger, rounds, step

DAY = 86_400


def told(receiver: Receiver) -> list[Any]:
    return [json.loads(one.body) for one in receiver.requests]


async def test_after_five_days_of_nothing_but_failures_an_endpoint_is_disabled_and_the_others_are_told(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(500)]) as broken, Receiver() as other:
        endpoint = (await add(db, f"{broken.url}/canary", match="rule:crash_loop")).endpoint
        await add(db, other.url, match="app:other")
        for day in (0, 2, 4.9):
            await step(db, "opened", of=int(day) + 1, at=after(day * DAY))
            await rounds(deliverer, at=after(day * DAY))
        still = await endpoints.one(db, endpoint.id)
        await step(db, "opened", of=9, at=after(5 * DAY))
        await rounds(deliverer, at=after(5 * DAY))
        tried = len(broken.requests)
        await rounds(deliverer, at=after(6 * DAY))
        shown = await endpoints.one(db, endpoint.id)

    assert (still.enabled, still.failing_since) == (True, after(0))
    assert shown.disabled_reason == "every attempt has failed for 5 days; the last one: status 500"
    assert len(broken.requests) == tried
    assert {one.status for one in await ledger(db, endpoint.id)} == {"dead"}
    [body] = told(other)
    assert body["type"] == "webhook.disabled"
    assert body["data"]["webhook"]["id"] == endpoint.id
    assert body["data"]["webhook"]["disabled_reason"] == shown.disabled_reason
    assert "canary" not in str(body)


async def test_one_success_begins_the_five_days_anew(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(500), answer(204), answer(500)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        await rounds(deliverer)
        await rounds(deliverer, at=after(5))
        mended = await endpoints.one(db, endpoint.id)
        await step(db, "opened", of=2, at=after(6 * DAY))
        await rounds(deliverer, at=after(6 * DAY))

    assert mended.failing_since is None
    shown = await endpoints.one(db, endpoint.id)
    assert (shown.enabled, shown.failing_since) == (True, after(6 * DAY))


async def test_a_410_is_told_to_the_others_once(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(410)]) as gone, Receiver() as other:
        endpoint = (await add(db, gone.url)).endpoint
        await add(db, other.url, types=["webhook.disabled"])
        for n in range(3):
            await step(db, "opened", of=n)
        await rounds(deliverer)

    assert [body["data"]["webhook"]["id"] for body in told(other)] == [endpoint.id]


async def test_an_endpoint_that_is_enabled_again_has_another_five_days(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(500)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        await rounds(deliverer)
        await endpoints.disable(db, endpoint.id)
        enabled = await endpoints.enable(db, endpoint.id)
        await step(db, "opened", of=2, at=after(7 * DAY))
        await rounds(deliverer, at=after(7 * DAY))

    assert enabled.failing_since is None
    assert (await endpoints.one(db, endpoint.id)).enabled


async def test_endpoints_that_are_given_up_at_once_do_not_wait_for_each_other(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(410)]) as gone:
        ids = [(await add(db, gone.url)).endpoint.id for _ in range(8)]
        await step(db, "opened")
        await rounds(deliverer)

    assert [(await endpoints.one(db, id)).enabled for id in ids] == [False] * 8
