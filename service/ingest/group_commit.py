"""Many frames, one transaction: what waits at the same time is committed together, each app's messages as one chunk.

A commit costs both sides a millisecond whatever is in it, so one is under way at a time, and it is waited for those who were
just answered and come back. Only where one takes long, for a disk or a lock, a second committer goes on beside it, with a
connection of its own.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

import asyncpg

from parsers.frame import Reading
from service import metrics
from service.errors import StoreAway
from service.ingest.commit import Connection, is_refused, read_and_commit, reason_of
from service.ingest.posted import Named, Posted
from service.ingest.tallies import Tallies
from service.log import log
from service.store import partitions
from service.store.database import Database

COMMITTERS = 2
# A commit that takes this long, twice as long as one of 3,000 lines, has others beside it.
ALONE_SECONDS = 0.05
# One transaction's worth: at 300 bytes a line some 10,000 lines, 30 ms of work for either side.
BATCH_BYTES = 4 << 20
# This share of what the last commit took it is waited for as many frames as there were then, and never longer than this.
GATHERING_SHARE = 1 / 8
MOST_GATHERING_SECONDS = 0.005
AWAY_SECONDS = 0.1
# A commit that takes this long is not waited for: nobody waits for its frames any more, and the server may be gone without a
# word. Within the time that a process has to end in.
COMMIT_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Waiting:
    """A frame that somebody waits for, read already or not. `done` is set when it is committed."""

    frame: Posted | Named
    done: "asyncio.Future[None]" = field(repr=False)


class GroupCommit:
    """Commits frames; `run` it beside whoever calls `keep`."""

    def __init__(
        self, db: Database, tallies: Tallies | None = None, reading: Reading | None = None, *, holds: bool = True
    ) -> None:
        """Where it `holds`, a frame waits for a database that is away; else `keep` raises StoreAway."""
        self._db = db
        self._reading = reading or Reading()
        self._holds = holds
        self._tallies = tallies or Tallies()
        self._queue: deque[Waiting] = deque()
        self._filled = asyncio.Event()
        self._expected = 0  # frames in the next batch, if all who sent the last ones send another
        self._gathering_s = 0.0
        self._gathered = asyncio.Event()  # they are there
        self._under_way = 0
        self._over = asyncio.Event()  # a commit is
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many frames wait for a commit."""
        return len(self._queue)

    async def keep(self, waiting: Waiting) -> None:
        """Returns when the frame is committed, or was before. Cancelled, or raising StoreAway: it is not, unless its commit was
        under way."""
        self.put(waiting)
        try:
            await waiting.done
        except asyncio.CancelledError:
            self.take_back(waiting)
            raise

    def put(self, waiting: Waiting) -> bool:
        """Lets the frame wait for its commit, of which `waiting.done` tells; it is always taken."""
        self._queue.append(waiting)
        self._filled.set()
        if len(self._queue) >= self._expected:
            self._gathered.set()
        return True

    def take_back(self, waiting: Waiting) -> None:
        """Nobody waits for the frame any more: it is not committed, unless its commit is under way."""
        waiting.done.cancel()
        if waiting in self._queue:
            self._queue.remove(waiting)

    async def run(self) -> None:
        """Until `close` was called and nothing waits any more."""
        async with asyncio.TaskGroup() as group:
            for _ in range(COMMITTERS):
                group.create_task(self._commit_for_ever())

    def close(self) -> None:
        """Lets `run` end once everything that waits is committed or given up."""
        self._closing = True
        self._filled.set()

    def give_up(self, error: BaseException) -> None:
        """Whoever waits for a commit that is not under way gets StoreAway, because of `error`."""
        waiting, self._queue = self._queue, deque()
        for one in waiting:
            if not one.done.done():
                one.done.set_exception(StoreAway(f"database {self._db.name} takes no frames ({reason_of(error)})"))

    async def _commit_for_ever(self) -> None:
        conn: Connection | None = None
        careful = False
        while await self._fills():
            await self._turn()
            await self._gather()
            if batch := self._take():  # the other committer may have been here
                self._under_way += 1
                conn, careful = await self._commit_batch(batch, conn, careful=careful)
                self._under_way -= 1
                self._over.set()
            del batch
        _close(conn)

    async def _commit_batch(
        self, batch: list[Waiting], conn: "Connection | None", *, careful: bool
    ) -> "tuple[Connection | None, bool]":
        """Commits what it can of `batch`; gives the connection, if it is good for another, and whether that must be careful.

        A method of its own, so that bodies, which are not masked yet, are gone with it.
        """
        try:
            if conn is None or conn.is_closed():
                conn = await self._db.asyncpg()
            began = perf_counter()
            async with asyncio.timeout(COMMIT_SECONDS):
                frames = [one.frame for one in batch]
                named, kept = await read_and_commit(conn, frames, self._reading, careful=careful)
        except Exception as error:
            self._give_back(batch)
            _close(conn)  # PgBouncer may wait for the end of a COPY on it (`copy_in.py`)
            if isinstance(error, asyncpg.CheckViolationError):
                return None, await self._make_partitions()
            if is_refused(error) and not careful:
                return None, True
            metrics.COMMIT_FAILURES.inc()
            log.warning("ingest.commit_failed", frames=len(batch), reason=reason_of(error))
            if self._holds:
                await asyncio.sleep(AWAY_SECONDS)
            else:
                self.give_up(error)
            return None, False
        for read in named:
            self._tallies.read(read.drain, read.frame, read.received_at, mismatches=read.mismatches)
        self._tallies.committed([one.frame.drain for one in batch], kept, seconds=perf_counter() - began)
        for one in batch:
            if not one.done.done():
                one.done.set_result(None)
        self._expected = len(batch) + len(self._queue)
        self._gathering_s = min((perf_counter() - began) * GATHERING_SHARE, MOST_GATHERING_SECONDS)
        if careful:  # some COPY was refused on it, as above
            _close(conn)
        return conn, False

    def _give_back(self, batch: Sequence[Waiting]) -> None:
        self._queue.extendleft(one for one in reversed(batch) if not one.done.done())
        self._filled.set()

    async def _make_partitions(self) -> bool:
        """A partition was missing, since no worker has made it ahead. Gives False: the rows themselves are good."""
        try:
            async with self._db.begin() as conn:
                await partitions.ensure(conn, datetime.now(UTC))
        except Exception as error:  # also a lock that was not had in time
            log.warning("ingest.partitions_failed", reason=reason_of(error))
            await asyncio.sleep(AWAY_SECONDS)
        return False

    async def _fills(self) -> bool:
        """Whether anything waits; False when nothing ever will any more."""
        while not self._queue:
            if self._closing:
                return False
            self._filled.clear()
            await self._filled.wait()
        return True

    async def _turn(self) -> None:
        """Waits for the commit that is under way, for its usual time."""
        if self._under_way:
            self._over.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ALONE_SECONDS):
                    await self._over.wait()

    async def _gather(self) -> None:
        """Waits a moment for as many frames as there were last time."""
        if len(self._queue) < self._expected:
            self._gathered.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gathering_s):
                    await self._gathered.wait()

    def _take(self) -> list[Waiting]:
        """What waits, up to BATCH_BYTES."""
        batch: list[Waiting] = []
        size = 0
        while self._queue and size < BATCH_BYTES:
            one = self._queue.popleft()
            if not one.done.done():
                batch.append(one)
                size += one.frame.size
        return batch


def _close(conn: "Connection | None") -> None:
    """Gives up a connection that something went wrong on."""
    if conn is not None and not conn.is_closed():
        conn.terminate()
