"""Housekeeping, by every worker: that it lives, partitions made ahead and dropped, small chunks merged, what is old forgotten.

None of it is urgent, and all of it may be done twice, by several workers at once, or be cut off anywhere: each job looks at
what is there and does what is left to do. So whatever goes wrong, nobody else is disturbed, and it is tried again later.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError

from service.errors import StoreAway
from service.log import log
from service.settings import RetentionSettings
from service.store import arrivals, forgetting, merging, partitions, workers
from service.store.database import Database
from service.store.partitions import Retention

# Partitions are made days ahead, and rows go days after: an hour's delay costs nothing.
HOURLY = 3600.0
# Chunks are merged from a minute on.
MERGING_SECONDS = 20.0
# How soon a job that could not be done is tried again.
AGAIN_SECONDS = 60.0
# A worker that ends says so, unless that takes longer.
LEAVING_SECONDS = 1.0
# Rows that one transaction forgets: milliseconds, and no lock that anyone waits for.
FORGOTTEN_AT_ONCE = 500


async def keep_house(db: Database, retention: RetentionSettings, stop: asyncio.Event, *, holder: str) -> None:
    """Until `stop` is set; meanwhile the worker `holder` counts as one that lives. A database that is away is waited for."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_again(lambda: say_alive(db, holder), workers.SAY_SECONDS, stop))
        group.create_task(_again(lambda: tend_partitions(db, retention, now=datetime.now(UTC)), HOURLY, stop))
        group.create_task(_again(lambda: merge_chunks(db, stop, now=datetime.now(UTC)), MERGING_SECONDS, stop))
        group.create_task(_again(lambda: forget_old(db, retention, stop, now=datetime.now(UTC)), HOURLY, stop))

    with contextlib.suppress(StoreAway, DBAPIError, TimeoutError):
        async with asyncio.timeout(LEAVING_SECONDS), db.begin() as conn:
            await workers.leave(conn, holder)


async def say_alive(db: Database, holder: str) -> None:
    """Notes that this worker lives."""
    async with db.begin() as conn:
        await workers.say(conn, holder)


async def tend_partitions(db: Database, retention: RetentionSettings, *, now: datetime) -> None:
    """Makes the partitions of the days to come, and drops those whose rows have been kept long enough."""
    async with db.begin() as conn:
        made = await partitions.ensure(conn, now)
    kept = Retention(chunks=retention.lines, events=retention.events, traffic=retention.events)
    dropped = await partitions.drop_old(db, now, kept)
    if made or dropped:
        log.info("partitions.tended", made=",".join(made) or None, dropped=",".join(dropped) or None)


async def merge_chunks(db: Database, stop: asyncio.Event, *, now: datetime) -> None:
    """Merges what is due of every app, at work for a third of the time at the most."""
    async with db.begin() as conn:
        apps = await merging.due(conn, now=now)
    random.shuffle(apps)  # or several workers would all begin with the same one
    for app_id in apps:
        more = True
        while more and not stop.is_set():
            began = time.monotonic()
            async with db.begin() as conn:
                done = await merging.merge(conn, app_id, now=now)
            more = done.more
            took = time.monotonic() - began
            if done.chunks:
                log.info("chunks.merged", app_id=app_id, before=done.before, after=done.chunks, ms=round(took * 1000))
            await _stopped(stop, within=2 * took)


async def forget_old(db: Database, retention: RetentionSettings, stop: asyncio.Event, *, now: datetime) -> None:
    """Forgets the rows that no partition takes with it: quarantine like lines, incidents and deliveries like events."""
    jobs: tuple[tuple[Callable[..., Awaitable[int]], datetime], ...] = (
        (arrivals.arrivals_before, now - arrivals.KEPT),
        (forgetting.quarantine_before, now - retention.lines),
        (forgetting.incidents_before, now - retention.events),
        (forgetting.deliveries_before, now - retention.events),
    )
    for forget, before in jobs:
        gone, last = 0, FORGOTTEN_AT_ONCE
        while last == FORGOTTEN_AT_ONCE and not stop.is_set():
            async with db.begin() as conn:
                last = await forget(conn, before, most=FORGOTTEN_AT_ONCE)
            gone += last
        if gone:
            log.info("house.forgotten", what=forget.__name__.removesuffix("_before"), rows=gone)


async def _again(job: Callable[[], Awaitable[None]], seconds: float, stop: asyncio.Event) -> None:
    """Does `job` now, and again each time `seconds` have passed, until `stop` is set."""
    while not stop.is_set():
        wait = seconds
        try:
            await job()
        except StoreAway as error:
            log.warning("house.away", reason=str(error))
            wait = min(wait, AGAIN_SECONDS)
        except DBAPIError as error:
            # Of no other room's business: incidents are found and told of whether or not the house can be kept.
            log.error("house.failed", reason=str(error.orig).splitlines()[0])
            wait = min(wait, AGAIN_SECONDS)
        await _stopped(stop, within=wait)


async def _stopped(stop: asyncio.Event, *, within: float) -> None:
    """When `stop` is set, or that many seconds have passed."""
    try:
        async with asyncio.timeout(within):
            await stop.wait()
    except TimeoutError:
        return
