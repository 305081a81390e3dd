"""Two web processes on one database, behind a balancer: a rolling restart, and frames that come again through the other one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from balancer import Balancer
from ledger import APP, Ledger, announced_losses, kept_numbers, pour
from processes import Service, database, eventually, service
from service.cli.logplex import Fleet, Habits, fleet
from soak import RESTARTS


async def test_a_rolling_restart_loses_no_line_and_refuses_none_for_good(open_folder: Path) -> None:
    ledger = Ledger()
    async with two(open_folder) as (one, other, url):
        drain = await one.post("/v1/drains", {"app": APP, "environment": "production"})
        async with fleet(url, app=APP, secret=drain["secret"], nodes=4, ended=ledger.ended) as logplex:
            pouring = asyncio.create_task(pour(logplex, ledger, per_second=600))
            for _ in range(RESTARTS):
                for web in (one, other):
                    assert await web.end() == 0
                    web.start()
                    await web.ready()
            pouring.cancel()
            await asyncio.wait_for(logplex.emptied(), 60)
        kept = await kept_numbers(one)
        ledger.compare(kept)
        assert (len(kept), ledger.given_up) == (ledger.given, set())
        assert set(logplex.tally.answers) <= {0, 204, 503}
        assert await announced_losses(one) == 0
        print(f"{2 * RESTARTS} restarts: {len(kept):,} lines, none lost; answers {logplex.tally.answers}")


async def test_frames_that_come_again_also_late_and_at_once_are_kept_once(open_folder: Path) -> None:
    habits = Habits(answers_lost=0.3, late=0.2, late_s=0.1, answer_s=0.08)
    async with two(open_folder) as (one, _, url):
        await asyncio.gather(
            come_again(one, url, APP, habits),
            come_again(one, url, "in-a-shield-space", replace(habits, shield=True)),
        )


async def come_again(served: Service, url: str, app: str, habits: Habits) -> None:
    """Posts until there were many repeats; each line must be there once."""
    ledger = Ledger()
    drain = await served.post("/v1/drains", {"app": app, "environment": "production"})
    async with fleet(url, app=app, secret=drain["secret"], habits=habits, ended=ledger.ended) as logplex:
        pouring = asyncio.create_task(pour(logplex, ledger, per_second=600))
        await eventually(lambda: repeats(logplex), lambda number: number > 100 * RESTARTS, seconds=30 * RESTARTS)
        pouring.cancel()
        await asyncio.wait_for(logplex.emptied(), 60)
    ledger.compare(await kept_numbers(served, app))


async def repeats(logplex: Fleet) -> int:
    return logplex.tally.repeats


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Service, Service, str]]:
    """Both, and the URL of their drain."""
    async with (
        database(folder / "database") as url,
        service("web", home=folder / "one", DATABASE_URL=url) as one,
        service("web", home=folder / "other", DATABASE_URL=url) as other,
        Balancer([one.port, other.port]) as balancer,
    ):
        for web in (one, other):
            web.start()
        for web in (one, other):
            await web.ready()
        yield one, other, f"{balancer.url}/drain"
