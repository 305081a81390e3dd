"""The memory of a web process that is asked for more than it can do: it must stay flat and under 300 MiB.

A thousand connections post bodies of 100 kB without a pause; beside them a node of Logplex posts a line now and then, and
measures how long an answer takes. `python tests/bench/overload.py [SECONDS]`, 60 by default; the
figure of the design is for 600.
"""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from statistics import median

import uvloop
from figures import Figure, record
from pressure import Pressure, press
from running import running

from service.cli.logplex import Node, piece_of
from vocabulary import message

APP = "load-prod"
CONNECTIONS, LINES_PER_BODY = 1000, 350  # 350 lines are 100 kB
GROWN_SECONDS = 10  # until everything is in use that there is
BOUND_MIB, FLAT = 300, 1.1


async def main(seconds: float) -> None:
    """Prints one row; exits with 1 where the memory was not flat or too much."""
    async with running(worker=False) as here:
        secret = await here.drain(APP)
        before = rss_mib(here.web.pid)
        pressure = Pressure(here.port, APP, secret, seconds, per_body=LINES_PER_BODY, connections=CONNECTIONS)
        beside = Node(here.url, app=APP, secret=secret)
        posting = asyncio.create_task(post_now_and_then(beside))
        pressing = asyncio.create_task(press(pressure))
        taken = []
        while not pressing.done():
            taken.append(rss_mib(here.web.pid))
            await asyncio.wait((pressing,), timeout=1)
        pressed = await pressing
        posting.cancel()
        await beside.close()
    grown = taken[min(GROWN_SECONDS, len(taken) // 2) :]
    third = max(1, len(grown) // 3)
    early, late = median(grown[:third]), median(grown[-third:])
    print(
        f"memory at overload, {seconds:.0f} s, {CONNECTIONS} connections: {before:.0f} MiB before, {early:.0f} early, "
        f"{late:.0f} late, {max(taken):.0f} at most; {pressed.lines_per_second:,.0f} lines/s, answers {pressed.statuses}, "
        f"beside them {beside.tally.answers}, the slowest after {beside.tally.slowest_s:.1f} s"
    )
    what, flat = (
        f"memory of a web process, {seconds:.0f} s of overload",
        late <= FLAT * early and max(taken) <= BOUND_MIB,
    )
    here, ratio = f"{max(taken):.0f} MiB at most", f"{late / early:.2f}"
    record(Figure(what, here, f"early {early:.0f} MiB, late {late:.0f}", ratio, f"{BOUND_MIB} MiB, flat", flat))
    if max(taken) > BOUND_MIB or late > FLAT * early:
        raise SystemExit(f"expected at most {BOUND_MIB} MiB, and no more late than {FLAT} times what it was early")


async def post_now_and_then(node: Node) -> None:
    """A line twice a second."""
    while True:
        await node.post([piece_of(message("app", "web.1", "beside", datetime.now(UTC)))])
        await asyncio.sleep(0.5)


def rss_mib(process: int) -> float:
    """Resident memory."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], check=True, capture_output=True, text=True)
    return int(said.stdout) / 1024


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
