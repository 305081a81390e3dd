"""The migrated database is what `tables.py` says; migrating is safe for several at once, and has a way back."""

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import SettingError
from service.store import schema
from service.store.database import Database
from service.store.partitions import Partition
from service.store.tables import metadata

# Everything that makes up the schema but the partitions, as Postgres itself describes it.
COLUMNS = """
    select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
           pg_get_expr(adbin, adrelid)
    from pg_attribute
    join pg_class on pg_class.oid = attrelid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and attnum > 0
"""
CONSTRAINTS = """
    select conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid)
    from pg_constraint
    join pg_class on pg_class.oid = conrelid
    where pg_constraint.connamespace = 'public'::regnamespace and not relispartition
"""
INDEXES = """
    select indrelid::regclass::text, pg_get_indexdef(indexrelid)
    from pg_index
    join pg_class on pg_class.oid = indrelid
    where relnamespace = 'public'::regnamespace and not relispartition
"""
PARTITIONED = "select partrelid::regclass::text, pg_get_partkeydef(partrelid) from pg_partitioned_table"
OTHERS = (
    "select relname, relkind::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('S', 'v')"
)


async def described(conn: AsyncConnection) -> set[tuple[Any, ...]]:
    """The schema of a database, row by row, without the table that alembic keeps its version in."""
    rows = [
        tuple(row)
        for question in (COLUMNS, CONSTRAINTS, INDEXES, PARTITIONED, OTHERS)
        for row in await conn.execute(text(question))
    ]
    return {row for row in rows if row[0] != "alembic_version"}


async def test_the_migrated_database_is_what_the_tables_say(db: Database, empty_url: str) -> None:
    async with db.read() as conn:
        migrated = await described(conn)
    made = Database.open(empty_url)
    async with made.begin() as conn:
        await conn.run_sync(metadata.create_all)
        assert migrated == await described(conn)
    await made.close()


async def test_alembic_finds_nothing_to_change_in_the_migrated_database(db: Database) -> None:
    def compare(conn: Connection) -> Any:
        def ours(name: str | None, kind: str, _: Any) -> bool:
            return kind != "table" or name is None or Partition.named(name) is None

        return compare_metadata(MigrationContext.configure(conn, opts={"include_name": ours}), metadata)

    async with db.read() as conn:
        assert await conn.run_sync(compare) == []


async def test_two_that_migrate_at_once_both_find_it_done(empty_url: str) -> None:
    await asyncio.gather(*[schema.migrate(empty_url) for _ in range(3)])
    db = Database.open(empty_url)
    async with db.read() as conn:
        assert await schema.revision(conn) == schema.head()
    await db.close()


async def test_migrating_again_changes_nothing(db: Database) -> None:
    async with db.read() as conn:
        before = await described(conn)
    await schema.migrate(db)
    async with db.read() as conn:
        assert await described(conn) == before


async def test_there_is_a_way_back_to_the_empty_database_and_forth_again(db: Database) -> None:
    async with db.read() as conn:
        before = await described(conn)
    await schema.migrate(db, to="base")
    async with db.read() as conn:
        assert await described(conn) == set()
    await schema.migrate(db)
    async with db.read() as conn:
        assert await described(conn) == before


async def test_a_database_of_this_revision_passes_the_check(db: Database) -> None:
    async with db.read() as conn:
        await schema.check(conn)


async def test_an_empty_database_fails_the_check_with_what_to_run(empty_url: str) -> None:
    db = Database.open(empty_url)
    with pytest.raises(
        SettingError,
        match=f"^the database is at revision none, this drainwatch needs {schema.head()}; run `drainwatch migrate`$",
    ):
        async with db.read() as conn:
            await schema.check(conn)
    await db.close()


async def test_a_database_newer_than_this_code_fails_the_check_and_is_not_migrated(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(text("update alembic_version set version_num = '9999'"))
    newer = (
        "the database is at revision 9999, this drainwatch needs .*; a newer drainwatch has migrated it: start that one"
    )
    with pytest.raises(SettingError, match=newer):
        async with db.read() as conn:
            await schema.check(conn)
    with pytest.raises(SettingError, match=newer):
        await schema.migrate(db)


async def test_who_waits_too_long_for_another_that_migrates_gives_up_with_a_sentence(db: Database) -> None:
    async with db.begin() as other:
        await other.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": schema.LOCK})
        with pytest.raises(SettingError, match="another process has been migrating it"):
            await schema.migrate(db, wait_seconds=0)
