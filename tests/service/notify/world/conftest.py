"""What happens with receivers and workers out there: on one server alone, since the database is not what is tried here."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from service.store.database import Database

from ..conftest import emptied


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world_url(embedded_server: Any) -> AsyncIterator[str]:
    admin = await asyncpg.connect(embedded_server.url("postgres"))
    try:
        await admin.execute(f"create database notify_world template {embedded_server.template}")
        yield embedded_server.url("notify_world")
        await admin.execute("drop database notify_world with (force)")
    finally:
        await admin.close()


@pytest_asyncio.fixture(loop_scope="session")
async def db(world_url: str) -> AsyncIterator[Database]:
    opened = await emptied(world_url)
    yield opened
    await opened.close()
