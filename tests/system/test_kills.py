"""kill -9 at random moments under load: no line that was answered 204 is lost, none is there twice, and the incidents are those
that the lines tell of."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from episodes import ORIGIN, episodes, expected, found, tell
from ledger import APP, Ledger, kept_numbers, pour
from processes import Service, database, end_postgres, eventually, service
from receiver import Receiver
from service.cli.logplex import Habits, fleet
from soak import KILLS, SOAK
from told import ids_of_each, resolutions

LINES_PER_SECOND = 800
# So many are acknowledged before the next kill, however long the machine takes to start what was killed.
BETWEEN_KILLS = 400
# Now and then an answer is lost on its way, so that frames come twice; and nobody waits long for who has just been started.
HABITS = Habits(answers_lost=0.02, delay_most_s=0.3)

Kill = Callable[[], Coroutine[Any, Any, None]]


async def test_the_web_process_may_be_killed_at_any_moment(open_folder: Path) -> None:
    async with apart(open_folder) as (web, _):
        await under_load(web, killing(web))


async def test_a_worker_may_be_killed_at_any_moment(open_folder: Path) -> None:
    async with apart(open_folder) as (web, worker):
        await under_load(web, killing(worker))


async def test_postgres_may_be_killed_at_any_moment_and_is_started_again(open_folder: Path) -> None:
    home = open_folder / "home"
    try:
        async with service("serve", home=home) as served:
            served.start()
            await served.ready()
            await under_load(served, lambda: kill_postgres(home, served))
    finally:
        await end_postgres(home)


async def under_load(served: Service, kill: Kill) -> None:
    """Kills in the middle of everything, as often as it is due; then looks at what is there and what was told."""
    shop = await served.post("/v1/drains", {"app": APP, "environment": "production"})
    looping = await served.post("/v1/drains", {"app": ORIGIN.app, "environment": ORIGIN.environment})
    story = episodes(KILLS, until=datetime.now(UTC) - timedelta(minutes=1))
    ledger, url = Ledger(), f"{served.url}/drain"
    async with (
        Receiver() as receiver,
        fleet(url, app=APP, secret=shop["secret"], habits=HABITS, ended=ledger.ended) as logplex,
    ):
        await served.post("/v1/webhooks", {"url": receiver.url, "allow_private": True, "match": f"app:{ORIGIN.app}"})
        pouring = asyncio.create_task(pour(logplex, ledger, per_second=LINES_PER_SECOND))
        for number, episode in enumerate(story, start=1):
            before = len(ledger.acknowledged)
            telling = asyncio.create_task(tell(url, looping["secret"], episode))
            await asyncio.sleep(random.uniform(0, 0.8))
            await kill()
            await telling
            await eventually(lambda: progress(ledger), lambda now, before=before: now > before + BETWEEN_KILLS)
            # All are at work again before the next kill.
            await served.ready()
            await eventually(lambda: found(served), lambda seen, number=number: len(seen) == number)
        pouring.cancel()
        await asyncio.wait_for(logplex.emptied(), 60)
        ledger.compare(await kept_numbers(served))
        wanted = expected(story)
        assert len(wanted) == KILLS
        await eventually(lambda: found(served), lambda seen: seen == wanted)
        if SOAK:  # the claim of a worker that was killed lapses after 30 s, and digests come once a minute
            await eventually(lambda: resolutions(receiver), lambda told: len(told) == KILLS, seconds=120)
        assert ids_of_each(receiver) == dict.fromkeys(ids_of_each(receiver), 1)
        print(
            f"{KILLS} kills, {len(wanted)} incidents: {len(ledger.acknowledged):,} lines acknowledged, 0 lost, 0 doubled; "
            f"{len(ledger.given_up):,} never acknowledged; {logplex.tally.repeats} repeats, answers {logplex.tally.answers}"
        )


async def progress(ledger: Ledger) -> int:
    return len(ledger.acknowledged)


def killing(victim: Service) -> Kill:
    """kill -9 of one process, which is started again at once; now and then it is killed in the middle of its start too."""

    async def kill() -> None:
        victim.kill_group()
        victim.start()
        if random.random() < 0.2:
            await asyncio.sleep(random.uniform(0, 1.5))
            victim.kill_group()
            victim.start()

    return kill


async def kill_postgres(home: Path, served: Service) -> None:
    """kill -9 of the server and of all its children; returns when there is another."""
    note = home / "postgres" / "postmaster.pid"
    server = int(note.read_text().split()[0])
    for process in [server, *children(server)]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    await served.ready()
    assert int(note.read_text().split()[0]) != server


def children(process: int) -> list[int]:
    """The processes that it has started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(status.parent.name))
    return found


@asynccontextmanager
async def apart(folder: Path) -> AsyncIterator[tuple[Service, Service]]:
    """A web process and a worker on a database that neither of them has started."""
    async with (
        database(folder / "database") as url,
        service("web", home=folder / "web", DATABASE_URL=url) as web,
        service("worker", home=folder / "worker", DATABASE_URL=url) as worker,
    ):
        web.start()
        worker.start()
        await web.ready()
        yield web, worker
