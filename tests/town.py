"""The words for an outage: a database with a gate before it, a spool, and the web processes that share both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import httpx
import zstandard
from sqlalchemy import text

from door import APP, Door
from gate import Gate, gate_before
from processes import eventually
from service.app import listen, serve_web
from service.ingest import drains
from service.settings import read_settings
from service.store.database import Database
from vocabulary import message


class Town:
    """A database with a gate before it, a folder for the spool, and the web processes that share both."""

    def __init__(self, db: Database, gate: Gate, folder: Path, secret: str) -> None:
        self.db = db
        self.gate = gate
        self.folder = folder
        self.secret = secret

    @asynccontextmanager
    async def door(self, *, hold_s: float = 4.0, **environment: str) -> AsyncIterator[Door]:
        """A web process."""
        stop = asyncio.Event()
        settings = read_settings(
            {"DATABASE_URL": self.gate.url, "DRAINWATCH_SPOOL": str(self.folder), "PORT": "1", **environment}
        )
        settings = replace(settings, ingest=replace(settings.ingest, hold_s=hold_s))
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        behind = Database.open(self.gate.url)
        serving = asyncio.create_task(serve_web(settings, behind, stop, listening))
        client = httpx.AsyncClient(base_url=url, timeout=60, verify=False, trust_env=False)
        opened = Door(url, client, self.secret, self.db)
        try:
            await eventually(lambda: answers(client), lambda is_there: is_there)
            yield opened
        finally:
            stop.set()
            await client.aclose()
            await serving
            await behind.close()

    @property
    def files(self) -> list[Path]:
        """The spool's files."""
        return sorted(self.folder.glob("*.spool"))

    async def lines(self) -> list[str]:
        """The texts of all lines that are kept, in the order in which they were received."""
        async with self.db.read() as conn:
            rows = await conn.execute(text("select body from chunks order by received_at, id"))
        bodies = [zstandard.ZstdDecompressor().decompress(row.body).decode() for row in rows]
        return [line.rpartition(" - ")[2] for body in bodies for line in body.splitlines()]


@asynccontextmanager
async def town_of(url: str, folder: Path) -> AsyncIterator[Town]:
    """A town with one drain, its spool in `folder`."""
    db = Database.open(url)
    drain = await drains.add(
        db, app=APP, environment="production", logplex_token=None, public_url="https://logs.example.com"
    )
    async with gate_before(url) as gate:
        yield Town(db, gate, folder / "spool", drain.secret)
    await db.close()


def talk(number: int) -> bytes:
    """The body's `number`th line."""
    return message("app", "web.1", f"line {number}")


def noise(seed: int) -> str:
    """A text of 2,000 letters that cannot be packed much."""
    state, letters = seed + 1, []
    for _ in range(2000):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        letters.append(chr(33 + (state >> 40) % 90))
    return "".join(letters).replace("-", "_")


async def timed(posting: Awaitable[httpx.Response]) -> tuple[int, float]:
    """An answer's status, and how long it took."""
    began = monotonic()
    answer = await posting
    return answer.status_code, monotonic() - began


async def files(town: Town) -> list[Path]:
    """The spool's files."""
    return town.files


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.HTTPError:
        return False
