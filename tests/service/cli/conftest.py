import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from service import app as assembly
from service import cli
from service.settings import read_settings
from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a command: its exit status, and what it wrote."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, read."""
        return json.loads(self.out)


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An environment without any setting but a home that is empty."""
    for name in list(os.environ):
        if name.startswith("DRAINWATCH_") or name in ("DATABASE_URL", "PORT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DRAINWATCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(home: Any, capfd: pytest.CaptureFixture[str]) -> Run:
    """`await run("drain", "list")`: the command as one types it, on a loop of its own."""

    async def ran(*arguments: str) -> Ran:
        capfd.readouterr()
        status = await asyncio.to_thread(cli.run, list(arguments))
        return Ran(status, *capfd.readouterr())

    return ran


@pytest.fixture
def here(emptied_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run`, where no service runs: the API is asked in the command's own process."""
    monkeypatch.setenv("DATABASE_URL", emptied_url)
    return run


@pytest_asyncio.fixture(loop_scope="session")
async def there(emptied_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """`run`, where DRAINWATCH_URL leads to a service on a real socket."""
    settings = read_settings({"DATABASE_URL": emptied_url, "DRAINWATCH_ADMIN_TOKEN": "dw_admin_of_the_service"})
    db, stop, listening = Database.open(emptied_url), asyncio.Event(), assembly.listen("127.0.0.1", 0)
    serving = asyncio.create_task(assembly.serve_web(settings, db, stop, listening))
    monkeypatch.setenv("DRAINWATCH_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    monkeypatch.setenv("DRAINWATCH_TOKEN", "dw_admin_of_the_service")
    yield run
    stop.set()
    await serving
    await db.close()
