"""Whole processes: `drainwatch` as a person starts it, killed as a machine kills it."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from service.store import schema
from service.store.embedded import EmbeddedPostgres

DRAINWATCH = str(Path(sys.executable).parent / "drainwatch")
ADMIN = "dw_test-admin-token"
START_SECONDS = 40.0


class Service:
    """One `drainwatch` process with a port of its own, and a client of its API."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], port: int, log: Path) -> None:
        self._command = (DRAINWATCH, *command)
        self._environment = environment
        self._log = log
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {ADMIN}"}, timeout=30, verify=False, trust_env=False
        )
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, in a process group of its own."""
        with self._log.open("a") as log:  # not a pipe: nobody would empty it
            self.process = subprocess.Popen(
                self._command, env=self._environment, text=True, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        """What it has logged, over all its starts."""
        return self._log.read_text()

    async def ready(self) -> None:
        """Returns when /readyz says so."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    if (await self.client.get("/readyz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                assert self.process is not None
                assert self.process.poll() is None, self.said()
                await asyncio.sleep(0.05)

    def kill_group(self) -> None:
        """SIGKILL to the whole process group, at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def end(self, *, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Ends it as Heroku does; its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        await asyncio.to_thread(self.process.wait, seconds)
        return self.process.returncode

    async def get(self, path: str, **parameters: Any) -> Any:
        """The answer's JSON; 200 is expected."""
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, *, status: int = 201) -> Any:
        """The answer's JSON; `status` is expected."""
        answer = await self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def service(*command: str, home: Path, **environment: str) -> AsyncIterator[Service]:
    """A service that is set up and not yet started; whatever of it still runs at the end is killed."""
    port = free_port()
    log = home.parent / f"{command[0]}-{port}.log"
    made = Service(command, environment_of(home, PORT=str(port), **environment), port, log)
    try:
        yield made
    finally:
        await made.client.aclose()
        if made.process is not None and made.process.poll() is None:
            made.kill_group()


def environment_of(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that knows nothing of this one's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DRAINWATCH_") and name not in ("DATABASE_URL", "PORT", "DYNO")
    }
    return {**kept, "DRAINWATCH_HOME": str(home), "DRAINWATCH_ADMIN_TOKEN": ADMIN, **more}


def free_port() -> int:
    """A port that nobody listens on, of those that the system gives to nobody who asks for any: until it is taken, another
    test's process may ask."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def eventually(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], *, seconds: float = 60) -> Any:
    """The first answer to `ask` that `holds`; it is asked again until then."""
    give_up = asyncio.get_running_loop().time() + seconds
    while not holds(answer := await ask()):
        assert asyncio.get_running_loop().time() < give_up, answer
        await asyncio.sleep(0.05)
    return answer


async def end_postgres(home: Path) -> None:
    """Ends the Postgres that a killed service has left running on `home`."""
    if (home / "postgres").exists():
        left = EmbeddedPostgres(home)
        await left.start()
        await left.stop()


def run(*arguments: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """One command from beginning to end."""
    return subprocess.run(
        [DRAINWATCH, *arguments],
        env=environment_of(home, **environment),
        text=True,
        capture_output=True,
        timeout=60,
    )


@asynccontextmanager
async def database(home: Path) -> AsyncIterator[str]:
    """The URL of a migrated database on a server that syncs to disk and outlives the services that use it."""
    postgres = EmbeddedPostgres(home)
    url = await postgres.start()
    try:
        await schema.migrate(url)
        yield url
    finally:
        await postgres.stop()
