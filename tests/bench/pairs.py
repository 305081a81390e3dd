"""Two web processes and two workers against one of each: lines a second, from the first POST until all of them are folded.

Two apps post at the same time, each to a web process of its own where there are two. `python tests/bench/pairs.py [ROUNDS]`;
the one and the two are measured in turns.
"""

import asyncio
import os
import sys
import time
from statistics import median

import uvloop
from figures import Figure, record
from pressure import Pressure, press
from running import Running, running
from sqlalchemy import text

APPS = ("load-prod", "shop-prod")
SECONDS = 8.0
FOLDED_SECONDS = 60.0
# With a core for each of the four processes two do nearly twice as much; on two cores they are not to be in each other's way.
GOAL = 1.8 if (os.cpu_count() or 1) >= 4 else 1.0


async def main(rounds: int) -> None:
    """Records a row for large bodies, and one for small."""
    for per_body in (100, 5):
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for of_each, measured in rates.items():
                async with running(worker=True, of_each=of_each) as here:
                    measured.append(await _rate(here, per_body))
        one, two = median(rates[1]), median(rates[2])
        what = f"two web processes and two workers, {per_body} lines a body, {os.cpu_count()} cores"
        against = f"one of each {one:,.0f} lines/s"
        record(Figure(what, f"{two:,.0f} lines/s", against, f"{two / one:.2f}", f"{GOAL:.1f}", two >= GOAL * one))


async def _rate(here: Running, per_body: int) -> float:
    """Lines a second, all of them acknowledged and folded."""
    ports = [here.ports[number % len(here.ports)] for number in range(len(APPS))]
    secrets = [await here.drain(app) for app in APPS]
    given = zip(ports, APPS, secrets, strict=True)
    presses = [Pressure(port, app, secret, SECONDS, per_body, connections=16) for port, app, secret in given]
    pressed = await asyncio.gather(*(press(one) for one in presses))
    began = time.perf_counter()
    async with asyncio.timeout(FOLDED_SECONDS):
        while await _pending(here):
            await asyncio.sleep(0.02)
    took = max(one.seconds for one in pressed) + time.perf_counter() - began
    return sum(one.statuses.get(204, 0) for one in pressed) * per_body / took


async def _pending(here: Running) -> bool:
    async with here.db.read() as conn:
        return bool(await conn.scalar(text("select exists (select from pending)")))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if sys.argv[1:] else 3))
