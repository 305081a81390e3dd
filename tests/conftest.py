"""Real Postgres for the tests: servers once a session, a fresh migrated database for each test that asks for one.

There are the wheel's server, and the system's where one of version 15 or newer is installed. Tests that use `server`,
`database_url` or `db` run on each of them in the rooms where SQL stands or is raced for; elsewhere on one, by the test's
name, so that each server sees half of them; all on each with SOAK=1. `embedded_url` is a fresh database on the wheel's alone,
for slow tests. Test servers do not fsync; tests about crashes start their own. Only tests that ask for a server pay for it.
"""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from zlib import crc32

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from arriving import NOON
from service.errors import SettingError
from service.store import partitions, schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.store.ids import new_id
from soak import SOAK

EMBEDDED = "pg18-embedded"

# Where tests run on each server.
ON_EACH = ("tests/service/store/", "tests/service/ingest/", "tests/test_migrations.py")

# What takes longest begins first, or one core would wait for the other in the end; and first of all whole processes, which are
# waited for while the other core is at work.
FIRST = (
    "tests/system/",
    "tests/service/api/test_contract.py",
    "tests/service/store/test_filter_sql.py",
    "tests/service/api/test_stream.py",
    "tests/service/test_live_is_backtest.py",
    "tests/service/store/test_embedded.py",
    "tests/service/cli/test_asking.py",
    "tests/service/notify/world/",
    "tests/test_samples.py",
)

# How long an example takes is up to the machine, and says nothing of what it shows.
settings.register_profile("drainwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("drainwatch")

# Nothing here has to survive a crash of the machine.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: `name` (`pg18-embedded`) and `url(database)`; `admin` makes databases there, and `template` names a
    migrated, empty one."""

    name: str
    postgres: EmbeddedPostgres
    admin: asyncpg.Connection
    template: str = "migrated"

    def url(self, database: str) -> str:
        return self.postgres.url(database)


class Servers:
    """Starts each server once; `stack` stops them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._running: dict[str, PostgresServer] = {}

    async def running(self, name: str) -> PostgresServer:
        """The server of that name; skips the test with one line where this machine cannot run it."""
        if name not in self._running:
            self._running[name] = await self._stack.enter_async_context(_running(name))
        return self._running[name]


def pytest_configure(config: pytest.Config) -> None:
    """A pytest that is told to end (SIGTERM) ends like one interrupted by Ctrl-C: with its servers stopped."""
    signal.signal(signal.SIGTERM, _interrupt)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes longest in front; the rest stays in its order."""
    items.sort(key=lambda item: next((n for n, begin in enumerate(FIRST) if item.nodeid.startswith(begin)), len(FIRST)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs what uses `server` on each server of this machine, or on one of them."""
    if "server" not in metafunc.fixturenames:
        return
    names = list(_servers())
    path = metafunc.definition.nodeid.split("::")[0]
    if not SOAK and not path.startswith(ON_EACH):
        names = [names[crc32(metafunc.definition.nodeid.encode()) % len(names)]]
    metafunc.parametrize("server", names, indirect=True, scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers() -> AsyncIterator["Servers"]:
    """The servers of this session: each is started when the first test asks for it, all are stopped at the end."""
    async with AsyncExitStack() as stack:
        yield Servers(stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(servers: "Servers", request: pytest.FixtureRequest) -> PostgresServer:
    """A running Postgres server, one after the other of those that this machine has."""
    return await servers.running(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_server(servers: "Servers") -> PostgresServer:
    """The wheel's server alone."""
    return await servers.running(EMBEDDED)


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database, dropped afterwards; on every server."""
    async with _fresh_database(server) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def embedded_url(embedded_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database, dropped afterwards; on the wheel's server only."""
    async with _fresh_database(embedded_server) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def empty_url(server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a fresh database with nothing in it, dropped afterwards; on every server."""
    async with _fresh_database(server, template="template0") as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def db(database_url: str) -> AsyncIterator[Database]:
    """An open `Database` on a fresh, migrated database."""
    opened = Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder through which every OS user may pass (pytest's `tmp_path` lets nobody but its owner)."""
    folder = _open_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _servers() -> dict[str, Path | None]:
    """Name → folder of its binaries (None: the wheel's), of each server this machine has."""
    found: dict[str, Path | None] = {EMBEDDED: None}
    for postgres in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        version = postgres.parent.parent.name
        if version.isdigit() and int(version) >= 15:
            found[f"pg{version}-system"] = postgres.parent
    return found


@asynccontextmanager
async def _running(name: str) -> AsyncIterator[PostgresServer]:
    home = _open_folder()
    postgres = EmbeddedPostgres(home, binaries=_servers()[name], settings=FAST)
    with _leash(home):
        try:
            try:
                await postgres.start()
            except SettingError as error:
                pytest.skip(f"no Postgres to test with: {error}")
            running = PostgresServer(name, postgres, await asyncpg.connect(postgres.url("postgres"), timeout=60))
            await running.admin.execute(f"create database {running.template}")
            await schema.migrate(running.url(running.template))
            await _with_the_day_before(running.url(running.template))
            yield running
        finally:
            await postgres.stop()


async def _with_the_day_before(url: str) -> None:
    """Makes the partitions of the day before the tests began, also where a server is started after a midnight."""
    db = Database.open(url)
    async with db.begin() as conn:
        await partitions.ensure(conn, NOON + timedelta(days=1))
    await db.close()


@contextmanager
def _leash(home: Path) -> Iterator[None]:
    """Ends the server of `home` and removes it when the block ends, and also when this process is killed: the pipe then
    closes, which is what the shell waits for."""
    ending = 'read _; kill -QUIT "$(head -n 1 "$0/postgres/postmaster.pid")"; rm -rf "$0"'
    command = ["/bin/sh", "-c", ending, str(home)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True):
        yield


@asynccontextmanager
async def _fresh_database(server: PostgresServer, *, template: str | None = None) -> AsyncIterator[str]:
    name = f"test_{new_id().hex}"
    # Measured, each for a migrated database: file_copy 30 ms on 18 and 100 ms on 15, wal_log 50 ms on both.
    strategy = "file_copy" if server.name == EMBEDDED else "wal_log"
    await server.admin.execute(f"create database {name} template {template or server.template} strategy {strategy}")
    try:
        yield server.url(name)
    finally:
        await server.admin.execute(f"drop database if exists {name} with (force)")


def _open_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="drainwatch-test-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
