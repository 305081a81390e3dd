"""The loop that delivers by itself, with real waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from receiver import Receiver, held_until
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import MakeDeliverer, add, append, ledger, step


async def test_a_slow_endpoint_holds_up_no_other(db: Database, make_deliverer: MakeDeliverer) -> None:
    released = asyncio.Event()
    async with Receiver([held_until(released)]) as slow, Receiver() as quick, running(make_deliverer()):
        await add(db, slow.url)
        await add(db, quick.url)
        for n in range(9):
            await step(db, "opened", of=n)
        await slow.received(4)
        assert len(await quick.received(9)) == 9
        assert len(slow.requests) == slow.under_way == 4
        released.set()
        assert len(await slow.received(9)) == 9


async def test_of_ten_endpoints_one_that_hangs_delays_nothing_elsewhere(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    async with AsyncExitStack() as stack:
        released = asyncio.Event()
        hanging = await stack.enter_async_context(Receiver([held_until(released)]))
        healthy = [await stack.enter_async_context(Receiver()) for _ in range(9)]
        for receiver in (hanging, *healthy):
            await add(db, receiver.url)
        await stack.enter_async_context(running(make_deliverer(attempt_seconds=600.0, poll_seconds=600.0)))
        for n in range(20):
            await step(db, "acknowledged", of=n)  # so many openings would be a storm
            for receiver in healthy:
                await receiver.received(n + 1)
        assert len(await hanging.received(4)) == 4  # the others wait for a place there
        released.set()


async def test_running_is_woken_by_a_commit(db: Database, make_deliverer: MakeDeliverer) -> None:
    async with Receiver() as receiver, running(make_deliverer(poll_seconds=600.0)):
        await add(db, receiver.url)
        for n in range(3):
            await step(db, "opened", of=n)
            await receiver.received(n + 1)


async def test_what_waits_for_a_place_or_its_turn_goes_as_soon_as_it_is_there(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url)
        async with db.begin() as conn:
            for n in range(6):
                await append(conn, "acknowledged", of=n)
                await append(conn, "escalated", 2, of=n)
        async with running(make_deliverer(poll_seconds=600.0)):
            await receiver.received(12)


async def test_running_finds_by_itself_what_a_lost_notification_would_have_said(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    async with Receiver() as receiver, running(make_deliverer(poll_seconds=0.05)):
        await add(db, receiver.url)
        await step(db, "opened")
        await receiver.received(1)
        async with db.begin() as conn:
            await conn.exec_driver_sql("update transitions set fanned_out_at = null, number = 2, type = 'acknowledged'")
        await receiver.received(2)


async def test_running_finishes_what_is_under_way_when_it_is_stopped(
    db: Database, make_deliverer: MakeDeliverer
) -> None:
    released = asyncio.Event()
    async with Receiver([held_until(released)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        async with running(make_deliverer()):
            await receiver.received(1)
            asyncio.get_running_loop().call_later(0.2, released.set)  # when it was told to stop

    [delivery] = await ledger(db, endpoint.id)
    assert [one.status for one in delivery.attempts] == [204]


@asynccontextmanager
async def running(deliverer: Deliverer) -> AsyncIterator[None]:
    """The deliverer runs as long as the block does."""
    stop = asyncio.Event()
    task = asyncio.create_task(deliverer.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task
