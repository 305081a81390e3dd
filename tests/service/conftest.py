"""A database that the tests at the edges share: emptying it takes a tenth of the time that making one takes."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from emptying import EMPTY

NAME = "emptied_for_each_test"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_url(embedded_server: Any) -> AsyncIterator[str]:
    """The URL of one database for the whole session, on the wheel's server."""
    conn = await asyncpg.connect(embedded_server.url("postgres"))
    try:
        await conn.execute(f"create database {NAME} template {embedded_server.template}")
        yield embedded_server.url(NAME)
        await conn.execute(f"drop database {NAME} with (force)")
    finally:
        await conn.close()


@pytest_asyncio.fixture(loop_scope="session")
async def emptied_url(shared_url: str) -> AsyncIterator[str]:
    """The same, with no rows in it and all numbers beginning at 1."""
    yield shared_url
    conn = await asyncpg.connect(shared_url)
    await conn.execute(EMPTY)
    await conn.close()
