"""One database for the room on each server, emptied for each test: a fresh one each costs more than most tests here do."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from emptying import EMPTY
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import PUBLIC_URL, SYSTEM_TLS, MakeDeliverer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def room_url(server: Any) -> AsyncIterator[str]:
    admin = await asyncpg.connect(server.url("postgres"))
    try:
        await admin.execute(f"create database notify_room template {server.template}")
        yield server.url("notify_room")
        await admin.execute("drop database notify_room with (force)")
    finally:
        await admin.close()


@pytest_asyncio.fixture(loop_scope="session")
async def db(room_url: str) -> AsyncIterator[Database]:
    opened = await emptied(room_url)
    yield opened
    await opened.close()


async def emptied(url: str) -> Database:
    """The database there, without what tests of this room have left in it."""
    opened = Database.open(url)
    async with opened.begin() as conn:
        await conn.exec_driver_sql(EMPTY)
    return opened


@pytest.fixture
async def make_deliverer(db: Database) -> AsyncIterator[MakeDeliverer]:
    async with WayOut(tls=SYSTEM_TLS) as way_out:

        def make(**options: Any) -> Deliverer:
            return Deliverer(db, way_out, public_url=PUBLIC_URL, chance=lambda: 0.0, **options)

        yield make


@pytest.fixture
def deliverer(make_deliverer: MakeDeliverer) -> Deliverer:
    return make_deliverer(attempt_seconds=10.0)
