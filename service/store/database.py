"""The pool and the transaction, and the one place where a driver's error becomes ours.

Works behind PgBouncer in transaction mode, where two transactions of one client may run on two servers: no statement is
prepared under a name (asyncpg sends anonymous ones anew with each execution when its cache is off), nothing is set for a
session but what PgBouncer carries over, and a connection fresh from the pool is not asked whether it lives (that costs a
round trip each); the socket says so itself when the server has closed it.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.errors import SettingError, StoreAway

# Within the 4 s that a drain request may be held, with time left to answer.
CONNECT_SECONDS = 3.0
# No statement of ours takes this long; one that does waits for a server that has gone without a word.
STATEMENT_SECONDS = 60.0

# [USER[:PASSWORD]@][HOST[:PORT]][,HOST[:PORT]…][/DATABASE][?PARAMETERS], with no `@` after the one before the hosts.
_HOST = r"(\[[^\]]*\]|[^/?#@:,\[]*)(:\d*)?"
_REST = re.compile(rf"([^/?#]*@)?{_HOST}(,{_HOST})*(/[^@?#]*)?(\?[^@#]*)?")
_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
# SQLSTATE classes and codes (PostgreSQL, Appendix A) after which the same call may succeed later: connection exceptions,
# insufficient resources (too many connections, disk full), shutdowns and starts, sessions ended by a time limit,
# a standby that was a primary a moment ago.
_AWAY_CLASSES = ("08", "53")
_AWAY_CODES = ("57P01", "57P02", "57P03", "57P05", "25P03", "25006")
# What waiting does not mend: wrong user or password, no such database.
_WRONG_CLASSES = ("28", "3D")


class Database:
    """A pool of connections to one database. Opens none before the first use; belongs to one event loop."""

    def __init__(self, engine: AsyncEngine, url: str) -> None:
        self._engine = engine
        self._reading = engine.execution_options(postgresql_readonly=True)
        self._alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.url = url  # with the password: for nobody's eyes
        self.name = describe(url)

    @classmethod
    def open(cls, url: str, *, pool_size: int = 8, statement_seconds: float | None = STATEMENT_SECONDS) -> "Database":
        """The database at `url`, with at most `pool_size` connections in the pool. No I/O.

        A statement that takes longer than `statement_seconds` (None: none does) ends with StoreAway. Raises SettingError
        for a URL that is not Postgres's.
        """
        plain = plain_url(url)

        async def connect(*_: object, **__: object) -> asyncpg.Connection:
            return await _connect(plain, statement_seconds)

        engine = create_async_engine(
            "postgresql+asyncpg://",  # asyncpg reads the URL itself: it knows `sslmode`, sockets, several hosts
            connect_args={"async_creator_fn": connect, "prepared_statement_cache_size": 0},
            json_serializer=dump_json,
            json_deserializer=json.loads,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            pool_recycle=600,
        )
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
        return cls(engine, plain)

    async def close(self) -> None:
        """Closes the pool's connections; those in use are closed when they are given back."""
        await self._engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed at the end, rolled back when an error leaves the block.

        Raises StoreAway where the database cannot be reached or ends the connection, also for a commit whose outcome is
        unknown. Do no other I/O inside: its ConnectionError or TimeoutError would be taken for the database's.
        """
        with self._translated():
            async with self._engine.begin() as conn:
                yield conn

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a read-only transaction, ended with the block. Raises StoreAway like `begin`."""
        with self._translated():
            async with self._reading.connect() as conn:
                yield conn

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction by itself, which saves two round trips. Raises StoreAway like
        `begin`."""
        with self._translated():
            async with self._alone.connect() as conn:
                yield conn

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which the caller begins and ends each transaction: for migrations. Raises StoreAway like `begin`."""
        with self._translated():
            async with self._engine.connect() as conn:
                yield conn

    async def asyncpg(self) -> asyncpg.Connection:
        """A connection of its own, outside the pool, for COPY or LISTEN; the caller closes it.

        `jsonb` columns are Python values here too. Raises StoreAway where the database cannot be reached; what happens on
        it later is asyncpg's own errors, for `is_away`.
        """
        conn = await _connect(self.url, STATEMENT_SECONDS)
        await conn.set_type_codec(  # asks nothing of the server, so it cannot fail
            "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=lambda data: json.loads(data[1:])
        )
        return conn

    async def probe(self) -> None:
        """Reaches the database once, for a start. Raises SettingError where waiting would not help (a wrong password, no
        such database), StoreAway otherwise."""
        try:
            async with self.read():
                pass
        except StoreAway as away:
            if _sqlstate(away.__cause__).startswith(_WRONG_CLASSES):
                raise SettingError(f"DATABASE_URL: {away}; expected a database that this user may enter") from away
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StoreAway:
            raise
        except Exception as error:
            if is_away(error):
                raise StoreAway(f"database {self.name} is away: {_reason(error)}") from error
            raise


def is_away(error: BaseException) -> bool:
    """Whether `error` (asyncpg's, SQLAlchemy's around it, or the socket's) says that the database cannot be reached, has
    ended the connection, or cannot serve now. False for what is wrong with the statement or its data."""
    if isinstance(error, StoreAway | ConnectionError | TimeoutError | PoolTimeout | DisconnectionError):
        return True
    state = _sqlstate(error)
    if state:
        return state.startswith(_AWAY_CLASSES + _WRONG_CLASSES) or state in _AWAY_CODES
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_away(_driver_error(error))
    return isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a statement gave up because `lock_timeout` passed before it had its lock."""
    return _sqlstate(error) == "55P03"


def plain_url(url: str) -> str:
    """`url` as asyncpg takes it, from any of `postgres://` (Heroku's), `postgresql://`, `postgresql+asyncpg://`.

    Raises SettingError for what is no such URL; its text shows no part of the URL but the scheme, because a password with
    an unquoted `/` or `@` may stand anywhere in it.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme not in _SCHEMES:
        shown = f"begins with {scheme[:20]!r}" if found else "is no URL"
        raise SettingError(f"DATABASE_URL {shown}; expected postgres://USER:PASSWORD@HOST/DATABASE")
    if not _REST.fullmatch(rest):
        raise SettingError(
            "DATABASE_URL cannot be read; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE,"
            " with / ? # @ : in the password written as %2F %3F %23 %40 %3A"
        )
    return f"postgresql://{rest}"


def describe(url: str) -> str:
    """`HOST/DATABASE` of a URL, for people; without user and password. Raises SettingError like `plain_url`."""
    parts = urlsplit(plain_url(url))
    host = parts.netloc.rpartition("@")[2]
    database = unquote(parts.path.lstrip("/")) or unquote(parts.username or "")
    for item in parts.query.split("&"):
        if not host and item.startswith("host="):
            host = unquote(item[len("host=") :])
    return f"{host or 'localhost'}/{database}"


def dump_json(value: Any) -> str:
    """JSON text of `value` for a `jsonb` column: compact, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _jsonb(value: Any) -> bytes:
    return b"\x01" + dump_json(value).encode()  # \x01: the version of jsonb's binary form


async def _connect(url: str, statement_seconds: float | None) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=statement_seconds,
            statement_cache_size=0,
            server_settings={"application_name": "drainwatch"},
        )
    except Exception as error:
        # Here, and only here, any error of the system is the database's: no such host, no such socket, no permission.
        if isinstance(error, OSError) or is_away(error):
            raise StoreAway(f"database {describe(url)} cannot be reached: {_reason(error)}") from error
        raise


def _refuse_closed(connection: Any, *_: object) -> None:
    # The pool then throws all older connections away and opens a new one.
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server has closed the connection")


def _driver_error(error: DBAPIError) -> BaseException:
    wrapped = error.orig
    return (wrapped.__cause__ or wrapped) if wrapped is not None else error


def _sqlstate(error: BaseException | None) -> str:
    if isinstance(error, DBAPIError):
        error = _driver_error(error)
    return str(getattr(error, "sqlstate", None) or "")


def _reason(error: BaseException) -> str:
    if isinstance(error, DBAPIError):
        error = _driver_error(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, PoolTimeout):
        return "every connection of the pool is in use"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
