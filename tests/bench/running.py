"""What is measured: web processes and workers on a database that syncs to disk."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import free_port
from service.ingest import drains
from service.store import schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres

DRAINWATCH = str(Path(sys.executable).parent / "drainwatch")


@dataclass(frozen=True, slots=True)
class Running:
    """The database, the process that listens on `port`, and the worker, if there is one; and the ports of all that listen."""

    db: Database
    web: "subprocess.Popen[bytes]"
    port: int
    worker: "subprocess.Popen[bytes] | None"
    ports: Sequence[int]

    @property
    def url(self) -> str:
        """Where frames are posted."""
        return f"http://127.0.0.1:{self.port}/drain"

    async def drain(self, app: str) -> str:
        """The secret of a new drain."""
        url = "https://logs.example.com"
        added = await drains.add(self.db, app=app, environment="production", logplex_token=None, public_url=url)
        return added.secret


@asynccontextmanager
async def running(*, worker: bool, of_each: int = 1) -> AsyncIterator[Running]:
    """A web process, and a worker too where one is wanted, or several of each; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o711)  # Postgres may run as another user
        postgres = EmbeddedPostgres(home)
        url = await postgres.start()
        db, ports = Database.open(url), [free_port() for _ in range(of_each)]
        try:
            await schema.migrate(url)
            with contextlib.ExitStack() as processes:
                webs = [processes.enter_context(_process("web", url, home, port)) for port in ports]
                workers = [processes.enter_context(_process("worker", url, home, port)) for port in ports if worker]
                for web, port in zip(webs, ports, strict=True):
                    await _listens(web, port)
                yield Running(db, webs[0], ports[0], workers[0] if worker else None, ports)
        finally:
            await db.close()
            await postgres.stop()


@contextmanager
def _process(command: str, url: str, home: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "DATABASE_URL": url, "PORT": str(port), "DRAINWATCH_HOME": str(home)}
    with (home / f"{command}-{port}.log").open("wb") as log:
        process = subprocess.Popen([DRAINWATCH, command], env=environment, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def _listens(web: "subprocess.Popen[bytes]", port: int) -> None:
    async with asyncio.timeout(20):
        while web.poll() is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
    raise SystemExit(f"drainwatch web ended with status {web.returncode}")
