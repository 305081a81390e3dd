"""The words for streams: a web process, and a client of its streams that may drop and resume."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from service import app as assembly
from service.settings import read_settings
from service.store.database import Database

ADMIN = "dw_admin_of_the_service"


@asynccontextmanager
async def web_process(url: str, port: int = 0) -> AsyncIterator[str]:
    """A web process on that database, in this process; gives its address. `port` 0: any."""
    settings = read_settings({"DATABASE_URL": url, "DRAINWATCH_ADMIN_TOKEN": ADMIN})
    db, stop, listening = Database.open(url), asyncio.Event(), assembly.listen("127.0.0.1", port)
    serving = asyncio.create_task(assembly.serve_web(settings, db, stop, listening))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        await serving
        await db.close()


@dataclass
class Listener:
    """A client of a stream. `got` is what it was told, `last_id` the place to resume from, `pings` the comments."""

    path: str
    params: dict[str, str] = field(default_factory=dict)
    token: str = ADMIN
    got: list[Any] = field(default_factory=list)
    last_id: str | None = None
    pings: int = 0
    ended: bool = False

    @asynccontextmanager
    async def at(self, url: str) -> AsyncIterator["Listener"]:
        """Listens at that web process until the block ends, from where it was."""
        begun = asyncio.Event()
        task = asyncio.create_task(self._listen(url, begun))
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
        waiting.cancel()
        if task.done():
            task.result()
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, number: int, seconds: float = 60) -> list[Any]:
        """What it was told, once that is so many."""
        async with asyncio.timeout(seconds):
            while len(self.got) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.got

    async def _listen(self, url: str, begun: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        async with (
            httpx.AsyncClient(timeout=60, verify=False, trust_env=False) as client,
            client.stream("GET", f"{url}{self.path}", params=self.params, headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            data, place = "", ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "data":
                    data = value
                elif name == "id":
                    place = value
                elif name == "":
                    self.pings += bool(value)
                    if place and not line:
                        # In one step: who drops here has both or neither.
                        self.last_id, place = place, ""
                        if data:
                            self.got.append(json.loads(data))
                            data = ""
                        begun.set()
        self.ended = True
