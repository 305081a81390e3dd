"""Which schema the database has, and bringing it to this code's.

Two processes that migrate at once take turns: whoever holds the advisory lock reads the version and migrates, on a second
connection, so that a migration may end its transaction (`create index concurrently`) while the lock stays. The other asks
again and again instead of waiting inside a statement, whose snapshot `create index concurrently` would wait for in turn.
"""

import asyncio
import functools
import importlib.resources
import time
from datetime import UTC, datetime

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import SettingError
from service.store import partitions
from service.store.database import Database

LOCK = 0x64726169_6E700002


async def migrate(database: Database | str, *, to: str = "head", wait_seconds: float = 600) -> None:
    """Brings the database (or the one at that URL) to revision `to`, and makes the partitions of these days.

    Does nothing where both are there. `to` may lie behind (`base`: an empty database): the way back. Waits for another
    process that migrates, up to `wait_seconds`. Raises SettingError when that takes longer or the database is newer than
    this code, StoreAway, or what a migration raises; each migration is done whole or not at all.
    """
    url = database if isinstance(database, str) else database.url
    db = Database.open(url, pool_size=2, statement_seconds=None)
    give_up = time.monotonic() + wait_seconds
    try:
        while not await _migrate_if_alone(db, to):
            if time.monotonic() > give_up:
                raise SettingError(
                    f"database {db.name}: another process has been migrating it for {wait_seconds:.0f} s"
                )
            await asyncio.sleep(0.2)
    finally:
        await db.close()


async def check(conn: AsyncConnection) -> None:
    """Returns if the database has the schema this code needs; raises SettingError, one line with the remedy, if not."""
    has = await revision(conn)
    if has == head():
        return
    if has is None or has in _known():
        remedy = "run `drainwatch migrate`"
    else:
        remedy = "a newer drainwatch has migrated it: start that one"
    raise SettingError(f"the database is at revision {has or 'none'}, this drainwatch needs {head()}; {remedy}")


async def revision(conn: AsyncConnection) -> str | None:
    """The revision of the database's schema; None where it has none."""
    if not await conn.scalar(text("select to_regclass('alembic_version') is not null")):
        return None
    found: str | None = await conn.scalar(text("select version_num from alembic_version"))
    return found


@functools.cache
def head() -> str:
    """The newest revision this code knows, as `0001`."""
    return str(_scripts().get_current_head())


def configuration() -> Config:
    """Alembic's configuration, made here so that an installed package can migrate too."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files("migrations")))
    config.set_main_option("path_separator", "os")
    return config


async def _migrate_if_alone(db: Database, to: str) -> bool:
    async with db.begin() as holder:
        # Idle while the other connection works.
        await holder.execute(text("set local idle_in_transaction_session_timeout = 0"))
        if not await holder.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}):
            return False
        has = await revision(holder)
        if has is not None and has not in _known():
            await check(holder)
        async with db.connect() as conn:
            if has != (head() if to == "head" else to):
                await conn.run_sync(_run_alembic, to, has)
            if to == "head":
                async with conn.begin():
                    await partitions.ensure(conn, datetime.now(UTC))
        return True


def _run_alembic(connection: Connection, to: str, has: str | None) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    back = to == "base" or (has is not None and to < has)  # revisions are numbers of four digits; `head` is behind none
    (command.downgrade if back else command.upgrade)(config, to)


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(configuration())
