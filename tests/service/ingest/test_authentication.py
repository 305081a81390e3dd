"""Who posts, and what is said of that while the database is slow or away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from door import APP, basic
from gate import Gate, gate_before
from service.errors import StoreAway
from service.ingest import authentication as room
from service.ingest import drains
from service.ingest.authentication import Authentication
from service.store.database import STATEMENT_SECONDS, Database
from service.store.drains import DrainCredentials

URL = "https://logs.example.com"


@pytest.fixture
async def gate(embedded_url: str) -> AsyncIterator[Gate]:
    async with gate_before(embedded_url) as opened:
        yield opened


@pytest.fixture
async def db(gate: Gate) -> AsyncIterator[Database]:
    opened = Database.open(gate.url)
    yield opened
    await opened.close()


async def secret_of(db: Database) -> str:
    return (await drains.add(db, app=APP, environment="production", logplex_token=None, public_url=URL)).secret


async def test_who_was_known_is_known_at_once_while_the_database_is_slow_or_away(
    gate: Gate, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    right = basic(APP, await secret_of(db))
    authentication = Authentication(db)
    assert await authentication.drain_of(right)
    gate.deafen()
    async with asyncio.timeout(STATEMENT_SECONDS / 2):  # a question takes as long as there is no answer
        assert await authentication.drain_of(right)
        gate.shut()
        for _ in range(20):
            assert await authentication.drain_of(right)


async def test_who_is_not_known_while_the_database_is_away_is_no_stranger(gate: Gate, db: Database) -> None:
    right = basic(APP, await secret_of(db))
    authentication = Authentication(db)
    assert await authentication.drain_of(right)
    assert await authentication.drain_of(basic(APP, "wrong")) is None
    gate.shut()
    for unknown in (basic(APP, "perhaps-new"), basic("perhaps-new", "x")):
        with pytest.raises(StoreAway):
            await authentication.drain_of(unknown)
    assert await authentication.drain_of(right)


async def test_guesses_at_the_same_time_cost_one_question(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    find = room.drains.find

    async def counted(conn: AsyncConnection, app: str) -> list[DrainCredentials]:
        questions.append(app)
        return await find(conn, app)

    monkeypatch.setattr(room.drains, "find", counted)
    authentication = Authentication(db)
    assert await authentication.drain_of(basic(APP, await secret_of(db)))
    guesses = [basic(APP, f"guess {number}") for number in range(50)]
    assert await asyncio.gather(*map(authentication.drain_of, guesses)) == [None] * 50
    assert questions == [APP, APP]


async def test_a_new_secret_is_known_at_once_and_a_removed_drain_no_longer_soon(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    authentication = Authentication(db)
    first = await secret_of(db)
    assert await authentication.drain_of(basic(APP, first))
    second = await secret_of(db)
    assert await authentication.drain_of(basic(APP, second))
    for drain in await drains.listed(db):
        await drains.remove(db, drain.id)
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)  # as when that time has passed
    assert await authentication.drain_of(basic(APP, first)) is None
