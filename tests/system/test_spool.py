"""Web processes that share a spool, killed while the database is away: what was answered 204 is there, once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import httpx
import pytest

from door import basic
from processes import Service, eventually, service
from service.store import schema
from service.store.embedded import EmbeddedPostgres
from vocabulary import frame_of, message

APP = "raxx-api-prod"


class Sender:
    """Posts numbered lines, one at a time, to each of some processes, and remembers what was answered 204."""

    def __init__(self, secret: str) -> None:
        self._headers = {"Authorization": basic(APP, secret), "Content-Type": "application/logplex-1"}
        self.taken: set[str] = set()
        self.slowest_s = 0.0

    async def post(self, served: Service, name: str) -> None:
        """One frame of one line; nothing is taken where nobody answers."""
        body = frame_of(message("app", "web.1", name, datetime.now(UTC)))
        began = monotonic()
        try:
            answer = await served.client.post(
                "/drain", content=body, headers={**self._headers, "Logplex-Frame-Id": name}
            )
        except httpx.HTTPError:
            return
        self.slowest_s = max(self.slowest_s, monotonic() - began)
        if answer.status_code == 204:
            self.taken.add(name)

    async def post_until_killed(self, served: Service, name: str) -> None:
        """Frame after frame, until the process is gone."""
        number = 0
        while served.process is not None and served.process.poll() is None:
            await self.post(served, f"{name}-{number}")
            number += 1


@pytest.fixture
async def postgres(open_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server with a migrated database, which the test stops and starts."""
    server = EmbeddedPostgres(open_folder / "database")
    await schema.migrate(await server.start())
    yield server
    await server.stop()


async def test_a_kill_while_the_database_is_away_loses_nothing_and_the_other_process_drains_what_is_left(
    open_folder: Path, postgres: EmbeddedPostgres
) -> None:
    spool = open_folder / "spool"
    shared = {"DATABASE_URL": postgres.url(), "DRAINWATCH_SPOOL": str(spool)}
    async with (
        service("web", home=open_folder / "one", **shared) as one,
        service("web", home=open_folder / "two", **shared) as two,
    ):
        for each in (one, two):
            each.start()
        for each in (one, two):
            await each.ready()
        drain = await one.post("/v1/drains", {"app": APP, "environment": "production"})
        sender = Sender(drain["secret"])
        for each in (one, two):
            await sender.post(each, f"before-{each.port}")
        await postgres.stop()
        posting = [asyncio.create_task(sender.post_until_killed(one, f"n{node}")) for node in range(8)]
        await eventually(lambda: count(sender.taken), lambda taken: taken > 100)
        one.kill_group()
        await asyncio.gather(*posting)
        await sender.post(two, "during")
        assert "during" in sender.taken
        await postgres.start()
        await eventually(lambda: count(left(spool)), lambda files: files == 0)
        kept = await texts(two)
        assert sorted(set(kept)) == sorted(kept)
        assert sender.taken <= set(kept)
        assert sender.slowest_s < 4.5
        assert "at=spool.adopted" in two.said()
        assert await two.end() == 0
        assert not list(spool.glob("*.spool"))


async def count(of: object) -> int:
    return len(of)  # type: ignore[arg-type]


def left(spool: Path) -> list[Path]:
    return list(spool.glob("*.spool"))


async def texts(served: Service) -> list[str]:
    """All lines."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await served.get("/v1/lines", app=APP, limit=1000, **cursor)
        found += [line["message"] for line in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
