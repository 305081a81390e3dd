"""From the POST of the line that completes an incident to its row, and to the last of nine receivers; a tenth one hangs.

Once with nothing else to do, once at half of the load that one web process takes at most. `python tests/bench/latency.py
[SAMPLES]`; with `hang` behind it only what the hanging one costs the others: with it and without it, in turns.
"""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from math import inf
from statistics import median, quantiles

import asyncpg
import uvloop
from figures import Figure, record
from pressure import Pressure, press
from running import running

from receiver import Receiver, Script, answer, silence
from service.cli.logplex import Node, piece_of
from service.notify import endpoints
from service.store.database import Database
from service.store.wakeups import DELIVERIES
from vocabulary import boot_timeout

LOAD, PROBED = "load-prod", "probed-prod"
HEALTHY = 9
MOST_SECONDS = 8.0  # of full load, to know what half of it is
WARM_SECONDS = 2.0
SAMPLE_SECONDS = 10.0
PAUSE_SECONDS = 0.25  # until what became of one sample's ten deliveries is recorded
TURNS = 4


class Arrivals:
    """When each incident's notification came to each of the receivers."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = defaultdict(list)
        self._came = asyncio.Event()

    def noted_by(self, receiver: Receiver) -> Script:
        """An answer that notes the time."""

        async def write(writer: asyncio.StreamWriter) -> None:
            said = receiver.requests[-1].body
            subject = said.partition(b'"subject":"')[2].partition(b'"')[0].decode()
            self._times[subject].append(time.perf_counter())
            self._came.set()
            await answer(204)(writer)

        return write

    async def last(self, subject: str) -> float:
        """When the last of the healthy receivers heard of it."""
        async with asyncio.timeout(SAMPLE_SECONDS):
            while len(self._times[subject]) < HEALTHY:
                self._came.clear()
                await self._came.wait()
        return max(self._times[subject])


async def main(samples: int, *, hang_alone: bool) -> None:
    """Prints a row for each pair of what and when."""
    async with running(worker=True) as here, AsyncExitStack() as stack:
        arrivals = Arrivals()
        for number in range(HEALTHY + 1):
            receiver = await stack.enter_async_context(Receiver())
            receiver.script = (arrivals.noted_by(receiver) if number < HEALTHY else silence,)
            added = await endpoints.add(here.db, url=receiver.url, match=f"app:{PROBED}", allow_private=True)
        load, probed = await here.drain(LOAD), await here.drain(PROBED)
        conn = await here.db.asyncpg()
        node = Node(here.url, app=PROBED, secret=probed)
        if hang_alone:
            hanging = added.endpoint.id  # the last one
            await compare(here.db, hanging, lambda n, tag: probe(node, conn, arrivals, n, tag), samples)
            await node.close()
            await conn.close()
            return
        show("idle", await probe(node, conn, arrivals, samples, "idle"), half=False)
        most = await press(Pressure(here.port, LOAD, load, MOST_SECONDS))
        half = Pressure(here.port, LOAD, load, 3600, lines_per_second=most.lines_per_second / 2)
        pressing = asyncio.create_task(press(half))
        await asyncio.sleep(WARM_SECONDS)
        show(f"at {half.lines_per_second:,.0f} lines/s", await probe(node, conn, arrivals, samples, "half"), half=True)
        pressing.cancel()
        await node.close()
        await conn.close()


# As if each sample's opening had been told long ago: so many in a minute would be a storm, and told together.
_LONG_AGO = "update decisions set at = at - interval '1 hour' where at > now() - interval '1 minute'"

Found = list[tuple[float, float, float]]


async def compare(db: Database, hanging: int, probing: Callable[[int, str], Awaitable[Found]], samples: int) -> None:
    """The same with the endpoint that hangs and without it, in turns."""
    found: dict[str, Found] = {"with it": [], "without it": []}
    for turn in range(TURNS):
        await endpoints.enable(db, hanging)
        found["with it"] += await probing(samples // TURNS, f"with{turn}x")
        await endpoints.disable(db, hanging)
        found["without it"] += await probing(samples // TURNS, f"without{turn}x")
    for when, times in found.items():
        show(when, times)


async def probe(
    node: Node, conn: "asyncpg.Connection[asyncpg.Record]", arrivals: Arrivals, samples: int, tag: str
) -> list[tuple[float, float, float]]:
    """`samples` times, one after the other: seconds to the answer, to the row, to the last receiver."""
    found = []
    told = asyncio.Event()
    await conn.add_listener(DELIVERIES, lambda *_: told.set())
    for number in range(samples):
        subject = f"{tag}{number}"
        piece = piece_of(boot_timeout(f"{subject}.1", datetime.now(UTC)))
        began = time.perf_counter()
        row = asyncio.create_task(seen(conn, told, subject))
        assert await node.post([piece])
        answered = time.perf_counter()
        found.append((answered - began, await row - began, await arrivals.last(subject) - began))
        await conn.execute(_LONG_AGO)
        await asyncio.sleep(PAUSE_SECONDS)
    return found


async def seen(conn: "asyncpg.Connection[asyncpg.Record]", told: asyncio.Event, subject: str) -> float:
    """When the incident is in the database: its commit says so. To ask every other millisecond would take a core."""
    async with asyncio.timeout(SAMPLE_SECONDS):
        while True:
            await told.wait()
            told.clear()
            at = time.perf_counter()
            if await conn.fetchval("select true from incidents where subject = $1", subject):
                return at


def show(when: str, found: Sequence[tuple[float, float, float]], *, half: bool) -> None:
    """One figure each: the median and p99, in ms, and what is wanted of them."""
    whats = (
        ("answered", inf, 100 if half else inf),
        ("an incident's row", 100, inf),
        (f"heard by {HEALTHY} of {HEALTHY + 1} endpoints, the tenth hangs", 300, 1000),
    )
    for (what, most_median, most_p99), seconds in zip(whats, zip(*found, strict=True), strict=True):
        p99 = (quantiles(seconds, n=100)[-1] if len(seconds) > 1 else seconds[0]) * 1000
        middle = median(seconds) * 1000
        wanted = [f"{name} {most:.0f} ms" for name, most in (("median", most_median), ("p99", most_p99)) if most < inf]
        met = middle <= most_median and p99 <= most_p99
        record(
            Figure(
                f"{what}, {when}", f"median {middle:.0f} ms, p99 {p99:.0f}", "", "", ", ".join(wanted) or "none", met
            )
        )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, hang_alone="hang" in sys.argv))
