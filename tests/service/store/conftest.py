"""What tests of the store that need no fresh database begin with."""

from collections.abc import AsyncIterator

import pytest_asyncio

from service.store import apps
from service.store.database import Database


@pytest_asyncio.fixture(loop_scope="session")
async def store(emptied_url: str) -> AsyncIterator[Database]:
    """A database with nothing in it but the apps 1, 2 and 3."""
    db = Database.open(emptied_url)
    async with db.begin() as conn:
        for name in ("shop", "blog", "wiki"):
            await apps.ensure(conn, name=name, environment="production")
    yield db
    await db.close()
