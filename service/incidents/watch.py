"""The worker's loop: an app's pending events are folded into findings, and findings into transitions of incidents.

One batch of one app is one transaction: the new rule states, incidents, timeline and the removal of what was pending are
committed together or not at all, so a worker may die anywhere. Who may fold an app is a lease; its token fences the commit.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.detect.app_fold import fold_each, marks_of
from service.detect.crash_loop import Dynos
from service.detect.history import SETTLE, History
from service.detect.rule_book import RuleBook
from service.detect.threshold import Recent
from service.detect.unfinished import Begun
from service.errors import StoreAway
from service.incidents import minutes
from service.incidents.context import FlagPrefix
from service.incidents.findings import Overtaken, record
from service.log import log
from service.store import clocks, evidence, leases, pending, rule_states, spools
from service.store.clocks import SILENT, Clock
from service.store.database import Database
from service.store.leases import Lease
from service.store.rule_states import RuleState
from service.store.wakeups import PENDING, listen

# A notification that is lost costs this at most; it is also how soon a timer that is due in silence is seen.
POLL_SECONDS = 0.5
# Chunks folded in one transaction: enough to catch up quickly, few enough that no app waits long behind another.
BATCH_CHUNKS = 200
APPS_PER_CLAIM = 16
# An app whose fold fails is tried again after this long.
RESTING_SECONDS = 5.0
# How long to wait before trying again when the database is away.
AWAY_SECONDS = 0.5

_HISTORIES: dict[str, TypeAdapter[History[Any]]] = {
    "threshold": TypeAdapter(History[Recent]),
    "unfinished": TypeAdapter(History[Begun]),
    "crash_loop": TypeAdapter(History[Dynos]),
}


class Watch:
    """Folds the apps that it can get a lease of, until it is stopped."""

    def __init__(self, db: Database, rules: RuleBook, flag_prefix: FlagPrefix, *, holder: str) -> None:
        self._db = db
        self._rules = rules
        self._flag_prefix = flag_prefix
        self._holder = holder
        self._resting: dict[int, float] = {}  # apps whose fold has failed, until when they are left alone

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. A database that is away is waited for."""
        async with listen(self._db, PENDING) as woken:
            started_at: datetime | None = None
            while not stop.is_set():
                woken.clear()
                try:
                    if started_at is None:
                        async with self._db.read() as conn:
                            started_at = await clocks.now(conn)
                    busy = await self.turn(started_at)
                except StoreAway as error:
                    log.warning("watch.away", reason=str(error))
                    started_at = None  # what came meanwhile is on its way
                    await _first(stop.wait(), seconds=AWAY_SECONDS)
                    continue
                if not busy:
                    await _first(woken.wait(), stop.wait(), seconds=POLL_SECONDS)
            await self._leave()

    async def turn(self, started_at: datetime) -> bool:
        """One batch of each app that waits and can be had; whether there was any."""
        async with self._db.begin() as conn:
            spooled_since = await spools.oldest(conn, started_at=started_at)
            claimed = await leases.claim(
                conn, holder=self._holder, started_at=started_at, spooled_since=spooled_since, most=APPS_PER_CLAIM
            )
        awake = [lease for lease in claimed if self._resting.get(lease.app_id, 0.0) <= monotonic()]
        for lease in awake:
            try:
                with metrics.FOLD_SECONDS.time():
                    async with self._db.begin() as conn:
                        await self._fold_app(
                            conn, lease, started_at=started_at, spooled_since=spooled_since, now=datetime.now(UTC)
                        )
            except StoreAway:
                raise
            except Overtaken:
                continue  # it waits still, and is folded again with what the person did
            except Exception as error:
                # Whatever is wrong with one app's lines must not stop the others; its own wait, and are not lost.
                self._resting[lease.app_id] = monotonic() + RESTING_SECONDS
                metrics.FOLD_FAILURES.inc()
                log.exception("watch.fold_failed", app=lease.app, reason=type(error).__name__)
        return bool(awake)

    async def _leave(self) -> None:
        try:
            async with self._db.begin() as conn:
                await leases.release_all(conn, holder=self._holder)
        except StoreAway:
            pass  # the deadline ends them

    async def _fold_app(
        self,
        conn: AsyncConnection,
        lease: Lease,
        *,
        started_at: datetime,
        spooled_since: datetime | None,
        now: datetime,
    ) -> None:
        """Folds what came of the app, up to `spooled_since`: of what came later some may still be on a disk."""
        if not await leases.fence(conn, lease):
            return
        rows = await pending.waiting(conn, lease.app_id, before=spooled_since, most=BATCH_CHUNKS)
        before = await clocks.read(conn, lease.app_id)
        events = await evidence.of_chunks(conn, lease.app_id, rows, app=lease.app, environment=lease.environment)
        clock = _advance(before, rows, started_at=started_at, now=now)
        if clock is None:
            return
        kept = await minutes.keep(conn, lease, rows, clock=clock.newest_at, now=now)
        events += kept.events
        rules = self._rules.for_app(lease.app, lease.environment)
        marks = marks_of(rules, events, before.newest_at if before else None)
        stored = await rule_states.touched(conn, lease.app_id, list(marks), due_at=clock.newest_at - SETTLE)
        by_name = {rule.name: rule for rule in rules}
        histories = {
            (one.rule, one.key): _HISTORIES[by_name[one.rule].detector].validate_python(one.state)
            for one in stored
            if one.rule in by_name
        }
        after = [RuleState(one.rule, one.key, None, None) for one in stored if one.rule not in by_name]
        known = {event.id: event for event in events if event.id}
        for (name, key), folded in fold_each(rules, histories, marks, clock=clock.newest_at).items():
            rule = by_name[name]
            await record(conn, lease, rule, key, folded, known, flag_prefix=self._flag_prefix)
            state = _HISTORIES[rule.detector].dump_python(folded.history, mode="json") if folded.history else None
            after.append(RuleState(name, key, state, folded.wake_at if state else None))
        wake_at = await rule_states.record(conn, lease.app_id, after)
        await pending.remove(conn, lease.app_id, rows)
        metrics.FOLDED.inc(len(rows))
        await clocks.record(conn, lease.app_id, replace(clock, wake_at=wake_at, minute_at=kept.open_at))


def _advance(
    before: Clock | None, rows: Sequence[pending.Pending], *, started_at: datetime, now: datetime
) -> Clock | None:
    """The app's clock after `rows`; in silence it is the wall's, or, where nothing is due but that a minute of traffic is
    over, as far as that takes it. None for an app that never spoke."""
    if rows:
        newest = max(row.newest_at for row in rows)
        heard = max(row.received_at for row in rows)
        return Clock(max(newest, before.newest_at), max(heard, before.heard_at)) if before else Clock(newest, heard)
    if before and max(before.heard_at, started_at) + SILENT <= now:
        if before.minute_at and not (before.wake_at and before.wake_at + SETTLE <= now):
            return Clock(max(before.newest_at, minutes.closes_at(before.minute_at)), before.heard_at)
        return Clock(max(before.newest_at, now), before.heard_at)
    return before


async def _first(*waits: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Until one of `waits` is over, or `seconds` have passed."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
