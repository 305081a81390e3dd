"""COPY's binary form: what goes in comes out the same, whatever the values; and many tables in one query."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from copied import copy_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.store.copy_in import (
    Columns,
    bytea,
    copy_in,
    copying,
    encoded,
    int2,
    int4,
    jsonb,
    text,
    texts,
    timestamp,
    uuid,
)
from service.store.database import Database, is_away

COLUMNS: Columns = {
    "a": int2,
    "b": int4,
    "c": timestamp,
    "d": uuid,
    "e": bytea,
    "f": text,
    "g": texts,
    "h": jsonb,
}
WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ROWS = st.tuples(
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.uuids(),
    st.binary(max_size=50),
    st.none() | WORDS,
    st.lists(WORDS, max_size=4),
    st.dictionaries(WORDS, st.none() | WORDS | st.integers(-(2**53), 2**53) | st.booleans(), max_size=4),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=5))
async def test_every_value_comes_back_as_it_went_in(db: Database, rows: list[tuple[object, ...]]) -> None:
    conn = await db.asyncpg()
    try:
        await conn.execute(
            "create temp table kept (n serial, a smallint, b int, c timestamptz, d uuid, e bytea, f text, g text[], h jsonb)"
        )
        await copy_rows(conn, "kept", COLUMNS, rows)
        kept = await conn.fetch("select a, b, c, d, e, f, g, h from kept order by n")
        assert [tuple(row) for row in kept] == rows
    finally:
        await conn.close()


async def test_a_value_that_postgres_refuses_is_a_data_error_and_leaves_the_connection_good(db: Database) -> None:
    conn = await db.asyncpg()
    try:
        await conn.execute("create temp table kept (f text)")
        with pytest.raises(asyncpg.DataError):
            await copy_rows(conn, "kept", {"f": text}, [("a\x00b",)])
        with pytest.raises(ValueError):
            await copy_rows(conn, "kept", {"f": text}, [("\ud800",)])
        await copy_rows(conn, "kept", {"f": text}, [("good",)])
        assert await conn.fetchval("select count(*) from kept") == 1
    finally:
        await conn.close()


EITHER = {"n": int4}


async def each(*bodies: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body
        await asyncio.sleep(pause)  # the server may already have answered


async def two_tables(conn: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    await conn.execute("create temp table one (n int check (n > 0)); create temp table other (n int)")
    return [copying("one", EITHER), copying("other", EITHER)]


async def test_several_tables_and_what_comes_after_them_are_one_query(db: Database) -> None:
    conn = await db.asyncpg()
    try:
        copies = await two_tables(conn)
        many = [(number,) for number in range(1, 100_001)]
        await conn.execute("begin")
        after = "insert into other values (7); insert into other values (8); commit"
        await copy_in(conn, copies, each(encoded(EITHER, many), encoded(EITHER, [(5,), (6,)])), after)
        assert not conn.is_in_transaction()
        assert await conn.fetchval("select count(*) from one") == len(many)
        assert [row["n"] for row in await conn.fetch("select n from other order by n")] == [5, 6, 7, 8]
    finally:
        await conn.close()


@pytest.mark.parametrize("pause", [0.0, 0.1])
@pytest.mark.parametrize("bad", [(-1, 5), (5, "no number")])
async def test_where_one_table_is_refused_nothing_is_kept_and_the_connection_is_good(
    db: Database, bad: tuple[object, object], pause: float
) -> None:
    conn = await db.asyncpg()
    try:
        copies = await two_tables(conn)
        first, second = (encoded(EITHER, [(n,)]) if isinstance(n, int) else b"no COPY at all" for n in bad)
        with pytest.raises((asyncpg.IntegrityConstraintViolationError, asyncpg.BadCopyFileFormatError)):
            await conn.execute("begin")
            await copy_in(conn, copies, each(first, second, pause=pause), "insert into other values (7); commit")
        await conn.execute("rollback")
        assert await conn.fetchval("select (select count(*) from one) + (select count(*) from other)") == 0
    finally:
        await conn.close()


async def test_where_the_rows_of_the_second_table_cannot_be_made_nothing_is_kept(db: Database) -> None:
    conn = await db.asyncpg()
    try:
        copies = await two_tables(conn)

        async def rows() -> AsyncIterator[bytes]:
            yield encoded(EITHER, [(1,)])
            raise OverflowError("too much")

        with pytest.raises(OverflowError):
            await conn.execute("begin")
            await copy_in(conn, copies, rows(), "commit")
        await conn.execute("rollback")
        assert await conn.fetchval("select count(*) from one") == 0
    finally:
        await conn.close()


async def test_a_connection_that_is_lost_between_two_tables_is_called_lost(db: Database) -> None:
    conn, other, lost = await db.asyncpg(), await db.asyncpg(), asyncio.Event()
    try:
        copies = await two_tables(conn)
        conn.add_termination_listener(lambda _: lost.set())

        async def rows() -> AsyncIterator[bytes]:
            yield encoded(EITHER, [(1,)])
            await other.execute("select pg_terminate_backend($1)", conn.get_server_pid())
            await lost.wait()
            yield encoded(EITHER, [(2,)])

        with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
            await copy_in(conn, copies, rows())
        assert is_away(caught.value)
    finally:
        await other.close()


def test_a_time_is_microseconds_since_2000() -> None:
    assert timestamp(datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=5))[-8:] == (5).to_bytes(8, "big")
    assert uuid(one := uuid4()).endswith(one.bytes)
