"""Postgres stopped for a while under load: every answer in time, nothing lost silently, and all well as soon as it is back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import httpx
import pytest

from ledger import APP, Ledger, announced_losses, kept_numbers, pour
from processes import Service, eventually, service
from service.cli.logplex import Tally, fleet
from service.store import schema
from service.store.embedded import EmbeddedPostgres
from soak import OUTAGE_SECONDS

# Three nodes have room for 1024 messages each. Within the outage there is more than that, so that some must be lost; a
# restart within it, with Logplex's waiting between two attempts to connect, is survived with few.
MANY, FEW = 900, 90  # lines per second

with_spool = pytest.mark.skipif(
    find_spec("service.ingest.spool") is None, reason="there is no service/ingest/spool.py yet (DRAINWATCH_SPOOL)"
)


@pytest.fixture
async def postgres(open_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server with a migrated database, which the test stops and starts."""
    server = EmbeddedPostgres(open_folder / "database")
    await schema.migrate(await server.start())
    yield server
    await server.stop()


async def test_without_a_spool_what_is_missing_is_what_the_l10_lines_say(
    open_folder: Path, postgres: EmbeddedPostgres
) -> None:
    async with service("serve", home=open_folder / "home", DATABASE_URL=postgres.url()) as served:
        ledger, tally = await outage(served, postgres, MANY, meanwhile=lambda: asyncio.sleep(OUTAGE_SECONDS))
        kept = await kept_numbers(served)
        ledger.compare(kept)
        assert set(tally.answers) <= {204, 503}
        assert tally.slowest_s < 4.5
        assert len(ledger.given_up) > 0
        assert ledger.given - len(kept) == tally.lost_messages == await announced_losses(served)
        assert await served.end() == 0


@with_spool
async def test_with_a_spool_nothing_is_lost_also_by_a_kill_in_the_middle(
    open_folder: Path, postgres: EmbeddedPostgres
) -> None:
    spool = open_folder / "spool"
    spool.mkdir()
    environment = {"DATABASE_URL": postgres.url(), "DRAINWATCH_SPOOL": str(spool)}
    async with service("serve", home=open_folder / "home", **environment) as served:

        async def meanwhile() -> None:
            await asyncio.sleep(OUTAGE_SECONDS / 2)
            served.kill_group()
            served.start()
            await asyncio.sleep(OUTAGE_SECONDS / 2)

        ledger, tally = await outage(served, postgres, FEW, meanwhile=meanwhile)
        kept = await eventually(lambda: kept_numbers(served), lambda found: len(found) >= ledger.given, seconds=60)
        ledger.compare(kept)
        assert set(tally.answers) <= {0, 204, 503}
        assert tally.slowest_s < 4.5
        assert (len(kept), ledger.given_up) == (ledger.given, set())
        assert await announced_losses(served) == 0
        assert await served.end() == 0


async def outage(
    served: Service, postgres: EmbeddedPostgres, per_second: int, *, meanwhile: Callable[[], Awaitable[None]]
) -> tuple[Ledger, Tally]:
    """Stops Postgres under load, and starts it again after `meanwhile`; within 2 s of its return all must be as before."""
    served.start()
    await served.ready()
    drain = await served.post("/v1/drains", {"app": APP, "environment": "production"})
    ledger = Ledger()
    async with fleet(f"{served.url}/drain", app=APP, secret=drain["secret"], ended=ledger.ended) as logplex:
        pouring = asyncio.create_task(pour(logplex, ledger, per_second=per_second))
        await eventually(lambda: acknowledged(ledger), lambda lines: lines > per_second)
        await postgres.stop()
        await meanwhile()
        await postgres.start()
        back_at = monotonic()
        back_s = await eventually(lambda: acknowledged_at(ledger), lambda at: at > back_at, seconds=2) - back_at
        await asyncio.sleep(2 - (monotonic() - back_at))
        lost, lines = len(ledger.given_up), len(ledger.acknowledged)
        await eventually(lambda: acknowledged(ledger), lambda now: now > lines + per_second, seconds=20)
        assert len(ledger.given_up) == lost
        assert logplex.waiting < per_second
        pouring.cancel()
        await asyncio.wait_for(logplex.emptied(), 60)
        print(
            f"Postgres away for {OUTAGE_SECONDS:.0f} s: {ledger.given:,} lines, {len(ledger.given_up):,} lost; back after "
            f"{back_s:.1f} s; answers {logplex.tally.answers}, the slowest after {logplex.tally.slowest_s:.2f} s"
        )
    return ledger, logplex.tally


async def acknowledged(ledger: Ledger) -> int:
    return len(ledger.acknowledged)


async def acknowledged_at(ledger: Ledger) -> float:
    return ledger.last_acknowledged_at


async def test_who_starts_while_the_database_is_away_does_not_listen_but_waits_for_it(
    open_folder: Path, postgres: EmbeddedPostgres
) -> None:
    url = postgres.url()
    await postgres.stop()
    async with (
        service("web", home=open_folder / "web", DATABASE_URL=url) as web,
        service("serve", home=open_folder / "serve", DATABASE_URL=url) as serve,
        service("worker", home=open_folder / "worker", DATABASE_URL=url) as worker,
        service("web", home=open_folder / "ended", DATABASE_URL=url) as ended,
    ):
        everyone = (web, serve, worker, ended)
        for one in everyone:
            one.start()
        for one in everyone:
            await eventually(lambda one=one: said(one), lambda text: "at=start.database_away" in text)
        for one in (web, serve):
            with pytest.raises(httpx.ConnectError):
                await one.client.get("/healthz")
        assert await ended.end() == 0
        await postgres.start()
        async with asyncio.timeout(2):
            await web.ready()
            await serve.ready()
        assert worker.process is not None
        assert worker.process.poll() is None
        for one in (web, serve, worker):
            assert await one.end() == 0


async def said(one: Service) -> str:
    return one.said()
