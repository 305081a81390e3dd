"""The worker's loop: an app's pending events are folded into findings, and findings into transitions of incidents.

One batch of one app is one transaction: the new rule states, incidents, timeline and the removal of what was pending are
committed together or not at all, so a worker may die anywhere. Who may fold an app is a lease; its token fences the commit.
"""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from time import monotonic
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.frame import Reading
from service import metrics
from service.detect.app_fold import HEARING, fold_each, hear, marks_of
from service.detect.history import SETTLE
from service.detect.minute_events import closes_at
from service.detect.rule_book import RuleBook
from service.errors import StoreAway
from service.incidents import going_on, lifecycle, minutes, rule_change
from service.incidents.context import FlagPrefix
from service.incidents.findings import Overtaken, record, replaced
from service.incidents.states import is_of, read_hearing, read_history, write_hearing, write_history
from service.incidents.step import tell
from service.log import log
from service.store import clocks, evidence, leases, rule_states, turns
from service.store.clocks import SILENT, Clock
from service.store.database import Database
from service.store.leases import Lease
from service.store.pending import Pending
from service.store.rule_states import RuleState
from service.store.wakeups import PENDING, listen

# A notification that is lost costs this at most; it is also how soon a timer that is due in silence is seen.
POLL_SECONDS = 0.5
# Chunks folded in one transaction: enough to catch up quickly, few enough that no app waits long behind another.
BATCH_CHUNKS = 200
# So many apps are folded at a time: most of a fold is waiting for the database, and an app that has much to fold must not keep
# the others waiting.
LANES = 3
# An app whose lines never stop is folded again no sooner than after so many times what its last fold took, or this: to fold
# what came in 20 ms costs nearly as much as what came in fifty, and web processes have better use for the time.
BREATHS = 3
MOST_BREATH_SECONDS = 0.25
# An app whose fold fails is tried again after this long.
RESTING_SECONDS = 5.0
# How long to wait before trying again when the database is away.
AWAY_SECONDS = 0.5


class Watch:
    """Folds the apps that it can get a lease of, until it is stopped."""

    def __init__(
        self, db: Database, rules: RuleBook, flag_prefix: FlagPrefix, *, holder: str, reading: Reading | None = None
    ) -> None:
        """`reading` is how the web processes read frames, for those that are read again."""
        self._db = db
        self._reading = reading or Reading()
        self._rules = rules
        self._flag_prefix = flag_prefix
        self._holder = holder
        self._settled: set[int] = set()  # apps whose states and incidents are of the rules as they are now
        self._folding: set[int] = set()  # apps whose turn it is
        self._breath: dict[int, float] = {}
        self._resting: dict[int, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. A database that is away is waited for."""
        async with listen(self._db, PENDING, self._heeds) as woken:
            await self._wake_changed(stop)
            async with asyncio.TaskGroup() as lanes:
                await self._give_turns(stop, woken, lanes)
            await self._leave()

    async def turn(self, started_at: datetime) -> bool:
        """One batch of each app that waits and can be had, one after the other; whether there was any."""
        claimed = await self._claim(started_at, save=self._resting_now(), most=16)
        try:
            for lease in claimed:
                await self._fold(lease, started_at=started_at)
        finally:
            self._folding.difference_update(lease.app_id for lease in claimed)
        return bool(claimed)

    async def _wake_changed(self, stop: asyncio.Event) -> None:
        """Lets the apps whose rules are others now be folded with them."""
        while not stop.is_set():
            try:
                async with self._db.begin() as conn:
                    await rule_change.wake_changed(conn, self._rules)
                return
            except StoreAway as error:
                log.warning("watch.away", reason=str(error))
                await _first(stop.wait(), seconds=AWAY_SECONDS)

    async def _give_turns(self, stop: asyncio.Event, woken: asyncio.Event, lanes: asyncio.TaskGroup) -> None:
        started_at: datetime | None = None
        while not stop.is_set():
            woken.clear()
            save = self._resting_now() | self._breathing()
            try:
                if started_at is None:
                    async with self._db.read() as conn:
                        started_at = await clocks.now(conn)
                if len(self._folding) < LANES:
                    for lease in await self._claim(started_at, save=save, most=LANES - len(self._folding)):
                        lanes.create_task(self._in_lane(lease, woken, started_at))
            except StoreAway as error:
                log.warning("watch.away", reason=str(error))
                started_at = None  # what came meanwhile is on its way
                await _first(stop.wait(), seconds=AWAY_SECONDS)
                continue
            seconds = min(save.values(), default=inf) - monotonic()
            await _first(woken.wait(), stop.wait(), seconds=max(0.0, min(seconds, POLL_SECONDS)))

    async def _in_lane(self, lease: Lease, woken: asyncio.Event, started_at: datetime) -> None:
        try:
            await self._fold(lease, started_at=started_at)
        except StoreAway as error:
            log.warning("watch.away", app=lease.app, reason=str(error))
            self._resting[lease.app_id] = monotonic() + AWAY_SECONDS
        finally:
            self._folding.discard(lease.app_id)
            woken.set()

    def _heeds(self, apps: str) -> bool:
        """Whether there is somebody to take a turn at one of the apps that a notification names."""
        return not apps or any(
            int(app) not in self._folding and int(app) not in self._breath for app in apps.split(",")
        )

    def _breathing(self) -> dict[int, float]:
        """Apps that were folded just now, each until when others come first."""
        self._breath = {app_id: until for app_id, until in self._breath.items() if until > monotonic()}
        return self._breath

    def _resting_now(self) -> dict[int, float]:
        """Apps whose fold has failed, each until when it is left alone."""
        self._resting = {app_id: until for app_id, until in self._resting.items() if until > monotonic()}
        return self._resting

    async def _claim(self, started_at: datetime, *, save: Collection[int], most: int) -> list[Lease]:
        async with self._db.alone() as conn:
            claimed = await leases.claim(
                conn, holder=self._holder, started_at=started_at, save=self._folding.union(save), most=most
            )
        self._folding.update(lease.app_id for lease in claimed)
        return claimed

    async def _fold(self, lease: Lease, *, started_at: datetime) -> None:
        """One batch of an app; what is wrong with it is its own. Raises StoreAway."""
        now, began = datetime.now(UTC), monotonic()
        try:
            with metrics.FOLD_SECONDS.time():
                async with self._db.begin() as conn:
                    chunks = await self._fold_app(conn, lease, started_at=started_at, now=now)
            if chunks < BATCH_CHUNKS:
                self._breath[lease.app_id] = monotonic() + min(BREATHS * (monotonic() - began), MOST_BREATH_SECONDS)
        except StoreAway:
            raise
        except Overtaken:
            pass  # it waits still, and is folded again with what the person did
        except Exception as error:
            # Whatever is wrong with one app's lines must not stop the others; its own wait, and are not lost.
            self._resting[lease.app_id] = monotonic() + RESTING_SECONDS
            metrics.FOLD_FAILURES.inc()
            log.exception("watch.fold_failed", app=lease.app, reason=type(error).__name__)

    async def _leave(self) -> None:
        try:
            async with self._db.begin() as conn:
                await leases.release_all(conn, holder=self._holder)
        except StoreAway:
            pass  # the deadline ends them

    async def _fold_app(self, conn: AsyncConnection, lease: Lease, *, started_at: datetime, now: datetime) -> int:
        """Folds what came of the app; gives how many chunks that was."""
        begun = await turns.begin(conn, lease, most=BATCH_CHUNKS)
        if begun is None:
            return 0
        before = begun.clock
        went_on = await going_on.go_on(conn, lease, begun.rows, going_on.kept(before), self._reading)
        rows = went_on.rows
        events = await evidence.of_chunks(conn, lease.app_id, rows, app=lease.app, environment=lease.environment)
        events += went_on.events
        clock = _advance(before, rows, started_at=started_at, now=now)
        if clock is None:
            return 0
        counted = await minutes.count(
            conn, lease, rows, clock=clock.newest_at, now=now, heard_at=before.heard_at if before else None
        )
        events += counted.events
        rules = self._rules.for_app(lease.app, lease.environment)
        folded_to = before.newest_at if before else None
        is_settled = lease.app_id in self._settled
        remade = (
            set() if is_settled else await rule_change.remake(conn, lease, rules, clock=folded_to or clock.newest_at)
        )
        marks = marks_of(rules, events, folded_to)
        stored = await rule_states.touched(conn, lease.app_id, [*marks, HEARING], due_at=clock.newest_at - SETTLE)
        heard_before, listens_at = read_hearing(stored)
        heard = hear(heard_before, marks.get(HEARING, ()), before=folded_to, clock=clock.newest_at)
        if heard.is_news:
            stored = await rule_states.of_app(conn, lease.app_id)
        by_name = {rule.name: rule for rule in rules}
        histories = {
            (one.rule, one.key): read_history(one, by_name[one.rule])
            for one in stored
            if is_of(one, by_name.get(one.rule))
        }
        after = []
        if (heard.folded.history, heard.folded.wake_at) != (heard_before, listens_at):  # most batches say nothing of it
            hearing = write_hearing(heard.folded.history) if heard.folded.history else None
            after.append(RuleState(*HEARING, hearing, heard.folded.wake_at))
        known = {event.id: event for event in events if event.id}
        on = set()
        heard_at = None if heard.is_paused else clock.heard_at
        for (name, key), folded in fold_each(
            rules, histories, marks, clock=clock.newest_at, heard_at=heard_at, gaps=heard.gaps
        ).items():
            rule = by_name[name]
            if folded.alarm or folded.news:
                on.add((name, key))
            await record(conn, lease, rule, key, folded, known, heard.gaps, flag_prefix=self._flag_prefix)
            state = write_history(rule, folded.history) if folded.history else None
            after.append(RuleState(name, key, state, folded.wake_at, folded.forget_at))
        if not is_settled:
            for incident, note in await rule_change.orphans(conn, lease, rules, remade, on):
                ended = await replaced(conn, lifecycle.resolved(incident, at=clock.newest_at))
                await tell(conn, ended, lifecycle.RESOLVED, at=clock.newest_at, note=note)
        clock = replace(clock, minute_at=counted.open_at, unfinished=going_on.to_keep(went_on.open))
        await turns.end(conn, lease.app_id, folded=rows, minutes=counted.minutes, states=after, clock=clock)
        metrics.FOLDED.inc(len(rows))
        self._settled.add(lease.app_id)
        return len(rows)


def _advance(before: Clock | None, rows: Sequence[Pending], *, started_at: datetime, now: datetime) -> Clock | None:
    """The app's clock after `rows`; in silence it is the wall's, or, where nothing is due but that a minute of traffic is
    over, as far as that takes it. None for an app that never spoke."""
    if rows:
        newest = max(row.newest_at for row in rows)
        heard = max(row.received_at for row in rows)
        return Clock(max(newest, before.newest_at), max(heard, before.heard_at)) if before else Clock(newest, heard)
    if before and max(before.heard_at, started_at) + SILENT <= now:
        if before.minute_at and not (before.wake_at and before.wake_at + SETTLE <= now):
            return Clock(max(before.newest_at, closes_at(before.minute_at)), before.heard_at)
        return Clock(max(before.newest_at, now), before.heard_at)
    return before


async def _first(*waits: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Until one of `waits` is over, or `seconds` have passed."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
