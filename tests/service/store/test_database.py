"""The pool and the transaction: what is kept, what is undone, and what a database that is away looks like."""

import asyncio
import os
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.errors import SettingError, StoreAway
from service.store.database import Database, describe, is_away, plain_url
from service.store.tables import rule_states

STATE = {"count": 3, "name": "Größe", "nested": [None, True, 1.5, {"a": '\u0001 \\ "'}]}


async def value(db: Database, statement: str) -> Any:
    async with db.read() as conn:
        return await conn.scalar(text(statement))


async def end_all_connections_but_one(url: str) -> None:
    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    conn = await asyncpg.connect(url)
    await conn.execute(f"select pg_terminate_backend(pid) {others}")
    while await conn.fetchval(f"select count(*) {others}"):
        pass
    await conn.close()


async def test_what_a_transaction_did_is_kept_when_its_block_ends(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(text("insert into apps (name, environment) values ('shop', 'production')"))
    assert await value(db, "select count(*) from apps") == 1


async def test_what_a_transaction_did_is_undone_when_an_error_leaves_its_block(db: Database) -> None:
    with pytest.raises(KeyError):
        async with db.begin() as conn:
            await conn.execute(text("insert into apps (name, environment) values ('shop', 'production')"))
            raise KeyError
    assert await value(db, "select count(*) from apps") == 0


async def test_a_reading_transaction_refuses_to_write(db: Database) -> None:
    with pytest.raises((DBAPIError, StoreAway), match="read-only"):
        async with db.read() as conn:
            await conn.execute(text("insert into apps (name, environment) values ('shop', 'production')"))


async def test_json_is_written_and_read_as_python_values(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(rule_states.insert().values(app_id=1, rule="crash_loop", key="web", state=STATE))
        assert await conn.scalar(rule_states.select().with_only_columns(rule_states.c.state)) == STATE


async def test_json_on_a_raw_connection_is_python_values_too_also_in_copy(db: Database) -> None:
    conn = await db.asyncpg()
    try:
        row = (1, "crash_loop", "web", STATE)
        await conn.copy_records_to_table("rule_states", records=[row], columns=["app_id", "rule", "key", "state"])
        assert await conn.fetchval("select state from rule_states") == STATE
    finally:
        await conn.close()


async def test_no_statement_is_prepared_under_a_name(db: Database) -> None:
    async with db.begin() as conn:
        for _ in range(3):
            await conn.execute(text("select 1 from apps where id = :id"), {"id": 1})
        names = await conn.scalars(text("select name from pg_prepared_statements where name <> ''"))
        assert list(names) == []


async def test_connections_say_that_they_are_drainwatchs(db: Database) -> None:
    assert await value(db, "select current_setting('application_name')") == "drainwatch"


async def test_a_connection_that_is_ended_in_a_transaction_means_that_the_store_is_away(db: Database) -> None:
    with pytest.raises(StoreAway, match=db.name):
        async with db.begin() as conn:
            await conn.execute(text("select 1"))
            await end_all_connections_but_one(db.url)
            await conn.execute(text("select 1"))


async def test_a_commit_on_a_connection_that_has_ended_means_that_the_store_is_away(db: Database) -> None:
    with pytest.raises(StoreAway):
        async with db.begin() as conn:
            await conn.execute(text("select 1"))
            await end_all_connections_but_one(db.url)


async def test_connections_that_ended_while_idle_are_replaced_unseen(db: Database) -> None:
    async with db.read() as one, db.read() as two:
        idle = [(await conn.get_raw_connection()).driver_connection for conn in (one, two)]
    await end_all_connections_but_one(db.url)
    while not all(conn.is_closed() for conn in idle if conn is not None):  # noqa: ASYNC110  the socket tells nobody else
        await asyncio.sleep(0)
    assert await asyncio.gather(*[value(db, "select 1") for _ in range(3)]) == [1] * 3


async def test_a_wrong_statement_is_not_taken_for_a_store_that_is_away(db: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        await value(db, "select nothing from nowhere")
    assert not is_away(raised.value)


async def test_a_pool_in_full_use_means_that_the_store_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("service.store.database.CONNECT_SECONDS", 0.2)
        db = Database.open(database_url, pool_size=1)
    async with db.begin():
        with pytest.raises(StoreAway, match="every connection of the pool is in use"):
            await value(db, "select 1")
    await db.close()


async def test_a_statement_that_takes_too_long_means_that_the_store_is_away(database_url: str) -> None:
    db = Database.open(database_url, statement_seconds=0.1)
    with pytest.raises(StoreAway, match="no answer in time"):
        await value(db, "select pg_sleep(5)")
    await db.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgres://user:s3cret@127.0.0.1:1/shop", "127.0.0.1:1/shop cannot be reached"),
        ("postgres://user:s3cret@nowhere.invalid/shop", "nowhere.invalid/shop cannot be reached"),
        ("postgresql://user:s3cret@/shop?host=/nowhere", "/nowhere/shop cannot be reached"),
    ],
)
async def test_a_database_that_cannot_be_reached_is_named_without_its_password(url: str, reason: str) -> None:
    db = Database.open(url)
    with pytest.raises(StoreAway, match=reason) as raised:
        await value(db, "select 1")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(StoreAway, match=reason):
        await db.asyncpg()


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.database.CONNECT_SECONDS", 0.2)
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(30), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(StoreAway, match="no answer in time"):
        await value(Database.open(f"postgres://user@127.0.0.1:{port}/shop"), "select 1")
    silent.close()


async def test_a_start_with_a_database_that_does_not_exist_is_a_wrong_setting(database_url: str) -> None:
    db = Database.open(database_url.replace("/test_", "/no_such_"))
    with pytest.raises(SettingError, match=r"DATABASE_URL: database .* does not exist; expected a database"):
        await db.probe()


async def test_a_start_while_the_database_is_away_is_no_wrong_setting() -> None:
    with pytest.raises(StoreAway):
        await Database.open("postgres://user@127.0.0.1:1/shop").probe()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_database_url_takes_each_of_the_usual_schemes(scheme: str) -> None:
    assert plain_url(f"{scheme}://u:p@h:1/d?sslmode=require") == "postgresql://u:p@h:1/d?sslmode=require"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgres://u:p@ec2-1.example.com:5432/d6k", "ec2-1.example.com:5432/d6k"),
        ("postgres://u:p%2F%40@[::1]:5432/d", "[::1]:5432/d"),
        ("postgres://u:p@a:1,b:2/d", "a:1,b:2/d"),
        ("postgres://u@/d?host=/tmp/x", "/tmp/x/d"),
        ("postgres://u:p@host", "host/u"),
        ("postgres://", "localhost/"),
    ],
)
def test_a_database_is_described_by_host_and_name(url: str, named: str) -> None:
    assert describe(url) == named


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://u:s3cret@h/d", "begins with 'mysql'; expected postgres://"),
        ("s3cret", "is no URL; expected postgres://"),
        ("postgres://u:s3cr/s3cret@h/d", "cannot be read; expected .* written as %2F"),
        ("postgres://u:s3cret#x@h/d", "cannot be read"),
        ("postgres://u:s3cret?x@h/d", "cannot be read"),
        ("postgres://u@h:s3cret/d", "cannot be read"),
    ],
)
def test_a_wrong_database_url_is_refused_in_one_line_that_shows_no_password(url: str, reason: str) -> None:
    with pytest.raises(SettingError, match=f"DATABASE_URL {reason}") as raised:
        Database.open(url)
    assert "s3cret" not in str(raised.value)
    assert os.linesep not in str(raised.value)
