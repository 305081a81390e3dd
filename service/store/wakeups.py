"""Wake-ups by LISTEN/NOTIFY: a hint that there is work, never the work itself.

Whoever waits for one polls as well, so a notification that is lost (while reconnecting, or behind PgBouncer in
transaction mode, where LISTEN reaches a server that others share) costs a poll's interval and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from service.log import log
from service.store.database import Database, is_away

PENDING = "drainwatch_pending"  # an ingest commit left events to fold; its payload are the apps' ids, or nothing
DELIVERIES = "drainwatch_deliveries"  # there is something to tell

_RETRY_SECONDS = 1.0
# A connection may die without a word (a firewall that forgets it); this is how soon that is noticed.
_ASK_SECONDS = 30.0


@asynccontextmanager
async def listen(
    db: Database, channel: str, heeds: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[asyncio.Event]:
    """An event that is set at each notification on `channel` whose payload is heeded, and whenever one may have been missed;
    clear it, then look.

    Does not wait for the database: while it is away the event stays as it is, and listening begins again by itself.
    """
    woken = asyncio.Event()
    listening = asyncio.create_task(_keep_listening(db, channel, heeds, woken), name=f"listen {channel}")
    try:
        yield woken
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _keep_listening(db: Database, channel: str, heeds: Callable[[str], bool], woken: asyncio.Event) -> None:
    while True:
        try:
            await _listen_once(db, channel, heeds, woken)
        except Exception as error:  # whatever it is, polling goes on and so does trying
            if not is_away(error):  # whoever works with the database says that it is away
                log.warning("wakeups.failed", channel=channel, reason=str(error))
        await asyncio.sleep(_RETRY_SECONDS)


async def _listen_once(db: Database, channel: str, heeds: Callable[[str], bool], woken: asyncio.Event) -> None:
    def notified(_conn: object, _pid: int, _channel: str, payload: object) -> None:
        if heeds(str(payload)):
            woken.set()

    conn = await db.asyncpg()
    try:
        ended = asyncio.Event()
        conn.add_termination_listener(lambda _: ended.set())
        await conn.add_listener(channel, notified)
        woken.set()  # for all that was said before
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _ASK_SECONDS)
                break
            await conn.execute("select 1", timeout=_ASK_SECONDS)
    finally:
        conn.terminate()
