"""kill -9 of a worker process between claim, send and record: nothing is lost, and what is sent twice has one webhook-id."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from receiver import Receiver, answer, held_until
from service.notify.deliver import Deliverer
from service.store import clocks
from service.store.database import Database

from ..outbox import add, append, ledger, rounds

HERE = Path(__file__).parent


async def test_killed_with_claims_that_were_not_sent(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        endpoint = await owed(db, receiver)
        async with worker(db, "claimed") as process:
            assert process.stdout is not None
            for _ in range(3):
                await asyncio.wait_for(process.stdout.readline(), 60)
            process.kill()
            await process.wait()
        before = len(receiver.requests)
        await followed(db, deliverer)

    assert before == 0
    await all_arrived(db, endpoint, receiver, requests=6)


async def test_killed_while_the_receivers_have_the_requests_and_have_not_answered(
    db: Database, deliverer: Deliverer
) -> None:
    never = asyncio.Event()
    async with Receiver([held_until(never)]) as receiver:
        endpoint = await owed(db, receiver)
        async with worker(db) as process:
            await receiver.received(3)
            process.kill()
            await process.wait()
        receiver.script = [answer(204)]
        await followed(db, deliverer)

    # The three openings were sent twice, their second steps once.
    await all_arrived(db, endpoint, receiver, requests=9)


async def test_killed_with_answers_that_were_not_recorded(db: Database, deliverer: Deliverer) -> None:
    answered = asyncio.Event()
    async with Receiver([held_until(answered)]) as receiver:
        endpoint = await owed(db, receiver)
        async with worker(db) as process:
            await receiver.received(3)
            async with db.begin() as conn:
                await conn.execute(text("select from deliveries for update"))
                answered.set()
                await blocked(db, 3)
                process.kill()
                await process.wait()
        receiver.script = [answer(204)]
        await followed(db, deliverer)

    await all_arrived(db, endpoint, receiver, requests=9)


async def owed(db: Database, receiver: Receiver) -> int:
    """Three incidents with two steps each are owed to the receiver's endpoint."""
    endpoint = (await add(db, receiver.url)).endpoint
    async with db.begin() as conn:
        for n in range(3):
            await append(conn, "opened", of=n)
            await append(conn, "acknowledged", 2, of=n, status="acknowledged")
    return endpoint.id


async def followed(db: Database, deliverer: Deliverer) -> None:
    """Another worker comes: nothing is its to send until the claims of the dead one have lapsed."""
    async with db.read() as conn:
        now = await clocks.now(conn)
    assert await rounds(deliverer, at=now) == 0
    await rounds(deliverer, at=now + timedelta(seconds=31))


async def all_arrived(db: Database, endpoint_id: int, receiver: Receiver, *, requests: int) -> None:
    deliveries = await ledger(db, endpoint_id)
    assert [one.status for one in deliveries] == ["delivered"] * 6
    assert {one.id for one in receiver.requests} == {str(one.id) for one in deliveries}
    assert len(receiver.requests) == requests
    # What came twice came as it was, to the byte.
    assert len({(one.id, one.body) for one in receiver.requests}) == 6


async def blocked(db: Database, count: int) -> None:
    """Returns when so many transactions wait for a lock: the answers that are being recorded."""
    waiting = text("""
        select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'""")
    async with asyncio.timeout(60):
        while True:
            async with db.read() as conn:
                if (await conn.execute(waiting)).scalar_one() >= count:
                    return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def worker(db: Database, *arguments: str) -> AsyncIterator[Process]:
    """A worker process on the same database."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "dying.py"), db.url, *arguments, env=environment, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
