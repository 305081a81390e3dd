"""One database for the room on each server, emptied after each test: no test here needs more of it than rows."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from emptying import EMPTY


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def incidents_url(server: Any) -> AsyncIterator[str]:
    await server.admin.execute(f"create database incidents_room template {server.template}")
    yield server.url("incidents_room")
    await server.admin.execute("drop database incidents_room with (force)")


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(incidents_url: str) -> AsyncIterator[str]:
    """A migrated database with no rows in it."""
    yield incidents_url
    conn = await asyncpg.connect(incidents_url)
    await conn.execute(EMPTY)
    await conn.close()
