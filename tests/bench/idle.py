"""What a worker costs that waits: a thousand apps, each with an incident whose timer is still to come.

`python tests/bench/idle.py [APPS]`. Processor time over some seconds, once everything is folded.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from figures import Figure, record
from running import running

from keeping import keep
from processes import eventually
from service.store.database import Database
from vocabulary import boot_timeout

APPS, KEEPING, WATCHED_SECONDS, SETTLING_SECONDS = 1000, 8, 30.0, 90.0
MOST = 0.02  # of a core


async def main(apps: int) -> None:
    """Prints one row."""
    async with running(worker=True) as here:
        names = [f"app-{number}-prod" for number in range(apps)]
        for at in range(0, apps, KEEPING):
            await asyncio.gather(*(open_one(here.db, name) for name in names[at : at + KEEPING]))
        assert here.worker is not None
        await eventually(lambda: number(here.db, "pending"), lambda left: left == 0, seconds=300)
        opened = await number(here.db, "incidents")
        await asyncio.sleep(SETTLING_SECONDS)  # until the last minute of traffic of each is closed
        began, before = time.monotonic(), cpu_seconds(here.worker.pid)
        await asyncio.sleep(WATCHED_SECONDS)
        share = (cpu_seconds(here.worker.pid) - before) / (time.monotonic() - began)
    what = f"an idle worker, {opened:,} apps with an open incident and its timer"
    record(Figure(what, f"{share:.2%} of a core", "", "", f"under {MOST:.0%}", share < MOST and opened == apps))


async def open_one(db: Database, app: str) -> None:
    """An incident that is escalated if nobody acknowledges it, and ends when the dyno is up for long enough."""
    await keep(db, app, boot_timeout("web.1", datetime.now(UTC)))


async def number(db: Database, table: str) -> int:
    """How many rows are in it."""
    conn = await db.asyncpg()
    try:
        return int(await conn.fetchval(f"select count(*) from {table}"))
    finally:
        await conn.close()


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, of its own and of the system's time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else APPS))
