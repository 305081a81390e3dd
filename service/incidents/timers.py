"""What time alone makes of incidents: escalated, no longer looked after, stable again; and their tracebacks, which may come
after them. A loop of the worker.

Each timer is a column, so incidents to which nothing is due cost nothing, and a timer survives any crash. Any number of
workers share what is due: each takes what no other holds.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import StoreAway
from service.incidents import lifecycle
from service.incidents.step import tell
from service.incidents.traceback import look_again
from service.log import log
from service.store import clocks, incidents, spools, timers
from service.store.database import Database
from service.store.incidents import Incident

POLL_SECONDS = 1.0
_AT_ONCE = 100
_LAPSED = "the acknowledgement has lapsed, and it still stands"


class Timers:
    """Lets incidents go on by time, until it is stopped. An acknowledgement lasts for `ack_lapse`."""

    def __init__(self, db: Database, *, ack_lapse: timedelta) -> None:
        self._db = db
        self._ack_lapse = ack_lapse

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. A database that is away is waited for."""
        started_at: datetime | None = None
        while not stop.is_set():
            try:
                if started_at is None:
                    async with self._db.read() as conn:
                        started_at = await clocks.now(conn)
                while await self.turn(started_at):
                    pass
            except StoreAway as error:
                log.warning("timers.away", reason=str(error))
                started_at = None  # what came meanwhile is on its way
            except Exception as error:  # what is due to one incident must not end the worker; it stays due
                log.exception("timers.failed", reason=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await stop.wait()

    async def turn(self, started_at: datetime) -> int:
        """Takes what is due, in one transaction; how many incidents that were. `started_at` is when this worker began."""
        async with self._db.alone() as conn:
            if not await timers.may_be_due(conn, ack_lapse=self._ack_lapse):
                return 0
        async with self._db.begin() as conn:
            now = await clocks.now(conn)
            until = now - self._ack_lapse
            spooled = await spools.oldest(conn, started_at=started_at) is not None
            due = await timers.due(conn, started_at=started_at, spooled=spooled, limit=_AT_ONCE)
            for incident in due:
                after, step = lifecycle.on_timer(incident)
                await _go_on(conn, after, step, at=incident.timer_at)
            unattended = await timers.acknowledged_before(conn, until, limit=_AT_ONCE)
            for incident in unattended:
                at = (incident.acknowledged_at or until) + self._ack_lapse
                await _go_on(conn, lifecycle.lapsed(incident, at=at), lifecycle.LAPSED, at=at, note=_LAPSED)
            looked = await timers.looking_for_traceback(conn, now, limit=_AT_ONCE)
            await look_again(conn, looked, now=now)
        return len(due) + len(unattended) + len(looked)


async def _go_on(
    conn: AsyncConnection, incident: Incident, step: str | None, *, at: datetime | None, note: str | None = None
) -> None:
    if step is None or at is None:
        await incidents.refresh(conn, incident)
        return
    after = await incidents.replace_version(conn, incident)
    if after:
        await tell(conn, after, step, at=at, note=note)
