"""What each drain sends, counted in this process, and added to the other processes' numbers every other second.

A frame costs some additions here (1 µs, all that a commit of 32 frames counts included), and the database one small statement
for all drains together, off the commit's path. The numbers of the process as a whole are `service/metrics.py`'s.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from parsers.event import Event
from parsers.frame import Frame
from service import metrics
from service.errors import StoreAway
from service.log import log
from service.store import drain_counts
from service.store.database import Database
from service.store.drain_counts import NO_DRAIN, Tally
from service.store.drains import DrainCredentials

KEEP_SECONDS = 2.0
# Within the time that a process has to end in, also with a database that is away.
_STATEMENT_SECONDS = 2.0


class Kept(NamedTuple):
    """What of a drain's is stored: `frames` is how many are in it, 0 where it is no more than the line in front of a repeat."""

    drain: DrainCredentials
    frame: Frame
    frames: int = 1


class Tallies:
    """Counts what drains send; `run` it beside whoever counts."""

    def __init__(self) -> None:
        self._tallies: dict[int, Tally] = {}  # by the drain's id; what names an app alone, by minus the app's
        self._tokens: dict[int, bytes] = {}  # each drain's Logplex-Drain-Token, by which Logplex may name it
        self._keeping = asyncio.Lock()
        self._closed = asyncio.Event()

    def heard(self, drain: DrainCredentials, headers: Mapping[bytes, bytes], now: datetime) -> None:
        """A frame has come at `now`; whether it is stored, and was not before, is said later."""
        tally = self._tallies.get(drain.id) or self._begin(drain.id, drain.app_id, drain.id)
        tally.heard_at = now
        token = headers.get(b"logplex-drain-token")
        if token is not None:
            self._tokens[drain.id] = token

    def read(self, drain: DrainCredentials, frame: Frame, received_at: datetime, *, mismatches: int) -> None:
        """What came at `received_at` was read; so many of the frames in it hold another number of messages than they said."""
        tally = self._tallies.get(drain.id) or self._begin(drain.id, drain.app_id, drain.id)
        if frame.messages:
            tally.skews.append(received_at - frame.last_at)
        if mismatches:
            tally.mismatches += mismatches
            metrics.COUNT_MISMATCHES.inc(mismatches)

    def committed(self, sent: Sequence[DrainCredentials], kept: Sequence[Kept], *, seconds: float) -> None:
        """A commit that took `seconds`, with the reading, has stored `kept` of what was `sent`, the drain of each frame: each
        new frame itself, and of some repeats the line in front."""
        kinds: Counter[str] = Counter()
        frames = messages = size = damaged = 0
        for drain, frame, many in kept:
            tally = self._tallies.get(drain.id) or self._begin(drain.id, drain.app_id, drain.id)
            tally.frames += many
            frames += many
            tally.lines += frame.messages
            messages += frame.messages
            stored = len(frame.body)
            if frame.damage:
                tally.damaged += len(frame.damage)
                damaged += len(frame.damage)
                stored += sum(len(one.body) for one in frame.damage)
            tally.bytes += stored
            size += stored
            for event in frame.events:
                kinds[event.kind] += 1
                if event.code == "L10":
                    self._lost(drain, tally, event)
        if frames < len(sent):
            self._repeated(sent, kept)
        metrics.FRAMES.inc(frames)
        metrics.MESSAGES.inc(messages)
        metrics.BYTES.inc(size)
        metrics.DAMAGED.inc(damaged)
        for kind, count in kinds.items():
            metrics.EVENTS.labels(kind).inc(count)
        metrics.COMMIT_SECONDS.observe(seconds)
        metrics.COMMIT_FRAMES.observe(len(sent))
        metrics.COMMIT_BYTES.observe(size)

    def refused(self, drain: DrainCredentials, status: int) -> None:
        """A frame was not taken, so its lines are lost at the sender, at once or after two more tries."""
        self._refuse(drain.id, drain.app_id, drain.id, status)

    def refused_secret(self, app_id: int | None) -> None:
        """Somebody has named the app (None: no app of ours) with a secret that none of its drains has."""
        if app_id is not None:
            self._refuse(-app_id, app_id, NO_DRAIN, 401)

    async def run(self, db: Database) -> None:
        """Adds to the database's numbers what was counted, until `close` was called, and then once more."""
        while not self._closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_SECONDS):
                    await self._closed.wait()
            try:
                await self.keep(db)
            except Exception as error:  # no number is worth a frame: they are kept here, and tried again
                reason = str(error) if isinstance(error, StoreAway) else type(error).__name__
                log.warning("tallies.not_kept", drains=len(self._tallies), reason=reason)

    def close(self) -> None:
        """Lets `run` end."""
        self._closed.set()

    async def keep(self, db: Database) -> None:
        """Adds to the database's numbers what was counted since the last time. Raises StoreAway: it is still counted here,
        and if that was a commit whose outcome nobody knows, twice in the end."""
        async with self._keeping:
            if not self._tallies:
                return
            taken, self._tallies = self._tallies, {}
            try:
                async with asyncio.timeout(_STATEMENT_SECONDS), db.begin() as conn:
                    await drain_counts.add(conn, list(taken.values()))
            except BaseException as error:
                for key, later in self._tallies.items():
                    if key in taken:
                        taken[key].add(later)
                    else:
                        taken[key] = later
                self._tallies = taken
                if isinstance(error, TimeoutError):
                    raise StoreAway(f"database {db.name} is away: the numbers of drains took too long") from error
                raise

    def _begin(self, key: int, app_id: int, drain_id: int) -> Tally:
        tally = self._tallies[key] = Tally(app_id, drain_id)
        return tally

    def _repeated(self, sent: Sequence[DrainCredentials], kept: Sequence[Kept]) -> None:
        repeats = Counter(drain.id for drain in sent)
        for drain, _, many in kept:
            repeats[drain.id] -= many
        drains = {drain.id: drain for drain in sent}
        for drain_id, many in repeats.items():
            if many:
                drain = drains[drain_id]
                tally = self._tallies.get(drain.id) or self._begin(drain.id, drain.app_id, drain.id)
                tally.repeats += many
                metrics.REPEATS.inc(many)

    def _refuse(self, key: int, app_id: int, drain_id: int, status: int) -> None:
        tally = self._tallies.get(key) or self._begin(key, app_id, drain_id)
        tally.refusals[status] = tally.refusals.get(status, 0) + 1
        tally.refused_at = datetime.now(UTC)

    def _lost(self, drain: DrainCredentials, tally: Tally, event: Event) -> None:
        """`3 messages dropped since …`: of this drain, unless it names the token of another."""
        count, named = event.fields.get("count"), event.fields.get("drain")
        token = self._tokens.get(drain.id)
        if not isinstance(count, int) or (named and token and named != token.decode("latin-1")):
            return
        try:
            since = datetime.fromisoformat(str(event.fields.get("since"))).astimezone(UTC)
        except (ValueError, OverflowError):
            since = event.ts  # a loss of its own
        tally.lost(since, count)
