"""Keeps a frame in the database, or on the spool's disk for as long as the database is away; and drains the spool after that.

Whether the database is there is found out by one connection, which also tells it what waits here (`store/spools.py`). New
frames go straight to the database as soon as it has been told, also while older ones are still drained: they are seen at
once, and the worker folds nothing that came later than what still waits on a disk, so that order is kept where it counts.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from time import monotonic, perf_counter

import asyncpg

from parsers.frame import Reading, read_frame
from parsers.line import Origin
from service import metrics
from service.errors import SettingError, StoreAway
from service.ingest.commit import Connection, commit_late, is_refused, reason_of
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named, Posted
from service.ingest.segment import Record
from service.ingest.spool import Batch, Spool, SpoolFull
from service.ingest.tallies import Kept, Tallies
from service.log import log
from service.store import partitions, spools
from service.store.database import Database, is_away
from service.store.drains import DrainCredentials

# How long a frame waits for its commit before it is spooled: many times what a commit takes, and less than the half of its hold
# that it has left where it went the short way first.
PATIENCE_SECONDS = 1.5
# How often a database that is away is asked for.
AWAY_SECONDS = 0.2
# One transaction's worth of what is drained: 3,000 lines, 20 ms, so that new frames find the process free.
DRAIN_BYTES = 1 << 20
# A commit of the drain that takes this long is not waited for: the server may be gone without a word.
DRAIN_SECONDS = 5.0
# After a batch that the database does not take though it is there, a mistake of ours: it is not lost, but tried seldom.
STUCK_SECONDS = 5.0


class Safekeeping:
    """Where frames are kept; `run` it beside whoever calls `keep`. `group_commit` must not hold."""

    def __init__(
        self,
        db: Database,
        group_commit: GroupCommit,
        spool: Spool,
        reading: Reading,
        tallies: Tallies,
        is_ready: Awaitable[object] | None = None,
    ) -> None:
        """`is_ready` is over when the database can be written to."""
        self._db = db
        self._group_commit = group_commit
        self._spool = spool
        self._reading = reading
        self._tallies = tallies
        self._is_ready = is_ready
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"
        self._there = asyncio.Event()  # the database is, and knows what waits here
        self._look = asyncio.Event()  # there is something to find out, or to drain
        self._closing = False
        self._refusing = False
        self._drain_at = 0.0
        self._since_s = monotonic()
        self._drained = 0
        metrics.SPOOL_BYTES.set_function(lambda: spool.bytes)
        metrics.SPOOL_FRAMES.set_function(lambda: spool.frames)

    async def keep(self, waiting: Waiting) -> None:
        """Returns when the frame is committed, or on the disk. The caller bounds the wait."""
        if self._there.is_set():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await self._group_commit.keep(waiting)
            except (TimeoutError, StoreAway) as error:
                self._lose(error)
        named = waiting.frame.read(self._reading) if isinstance(waiting.frame, Posted) else waiting.frame
        try:
            await self._spool.append(_record(named))
        except SpoolFull as full:
            if not self._refusing:
                log.error("spool.refuses", reason=str(full))
            self._refusing = True
            metrics.SPOOL_REFUSALS.inc()
            return await self._keep_when_there(named)
        self._tallies.read(named.drain, named.frame, named.received_at, mismatches=named.mismatches)
        self._refusing = False
        metrics.SPOOLED.inc()
        self._look.set()
        return None

    def put(self, waiting: Waiting) -> bool:
        """Lets the frame wait for its commit, if the database is there."""
        if not self._there.is_set():
            return False
        waiting.done.add_done_callback(self._heed)  # before anybody else, who then finds it spooled
        return self._group_commit.put(waiting)

    def take_back(self, waiting: Waiting) -> None:
        """The frame has waited too long: for all that can be told, the database is away."""
        self._group_commit.take_back(waiting)
        self._lose(TimeoutError())

    async def run(self) -> None:
        """Until `close` is called: looks for the database, tells it what waits here, and drains the spool.

        Raises SettingError for a database that this code cannot use.
        """
        while not self._closing:
            conn: Connection | None = None
            try:
                if self._is_ready is not None:
                    await self._is_ready
                    self._is_ready = None
                conn = await self._db.asyncpg()
                await self._attend(conn)
            except SettingError:
                raise
            except Exception as error:
                self._lose(error)
                await asyncio.sleep(AWAY_SECONDS)
            finally:
                if conn is not None:
                    conn.terminate()
        await self._spool.close()

    def close(self) -> None:
        """Lets `run` end; what waits on the disk stays there."""
        self._closing = True
        self._look.set()

    async def there(self) -> None:
        """Returns when frames go to the database."""
        await self._there.wait()

    async def _attend(self, conn: Connection) -> None:
        """While the database is there, or until another connection is needed."""
        while not self._closing:
            await self._spool.adopt()
            self._look.clear()
            # What gets nowhere keeps nobody waiting.
            stuck = monotonic() < self._drain_at
            async with asyncio.timeout(PATIENCE_SECONDS):
                await spools.say(conn, self._holder, None if stuck else self._spool.since)
            self._find()
            batch = None if stuck else await self._spool.next(most=DRAIN_BYTES)
            if batch is None:
                self._tell_drained()
                await self._pause(spools.SAY_SECONDS)
            elif not await self._drain(conn, batch):
                return
        if self._spool.since is None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await spools.leave(conn, self._holder)

    async def _drain(self, conn: Connection, batch: Batch) -> bool:
        """Commits `batch`. False where the database, though it is there, does not take it. Raises where it is away."""
        named = await asyncio.to_thread(self._read, batch.records)
        began = perf_counter()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                kept = await self._committed(conn, named) if named else []
        except Exception as error:
            if is_away(error) and not isinstance(error, TimeoutError):
                raise
            self._drain_at = monotonic() + STUCK_SECONDS
            log.error("spool.stuck", file=batch.segment.path.name, frames=len(named), reason=reason_of(error))
            return False
        self._tallies.committed([one.drain for one in named], kept, seconds=perf_counter() - began)
        self._spool.done(batch)
        self._drained += len(named)
        metrics.SPOOL_DRAINED.inc(len(named))
        return True

    async def _committed(self, conn: Connection, named: Sequence[Named]) -> list[Kept]:
        try:
            return await commit_late(conn, named, careful=False)
        except asyncpg.CheckViolationError:  # days for which there are no partitions, or none any more
            for received_at in {one.received_at.date(): one.received_at for one in named}.values():
                async with self._db.begin() as other:
                    await partitions.ensure(other, received_at)
            return await commit_late(conn, named, careful=False)
        except Exception as error:
            if not is_refused(error):
                raise
            return await commit_late(conn, named, careful=True)

    def _read(self, records: Sequence[Record]) -> list[Named]:
        """The frames of `records`, read again. In a thread."""
        return [_named(record, self._reading) for record in records]

    async def _keep_when_there(self, named: Named) -> None:
        while True:
            await self._there.wait()
            again = Waiting(named, asyncio.get_running_loop().create_future())
            try:
                return await self._group_commit.keep(again)
            except StoreAway as error:
                self._lose(error)

    def _find(self) -> None:
        if not self._there.is_set():
            self._there.set()
            if self._spool.frames:
                log.info("spool.draining", frames=self._spool.frames, bytes=self._spool.bytes)
            self._since_s, self._drained = monotonic(), 0

    def _lose(self, error: BaseException) -> None:
        """The database does not take what it is given, or not soon enough: what waits for it is spooled."""
        if self._there.is_set():
            self._there.clear()
            reason = str(error) if isinstance(error, StoreAway) else reason_of(error)
            log.warning("spool.spooling", reason=reason)
            self._group_commit.give_up(error)
        self._look.set()

    def _heed(self, done: "asyncio.Future[None]") -> None:
        if not done.cancelled() and isinstance(error := done.exception(), StoreAway):
            self._lose(error)

    def _tell_drained(self) -> None:
        if self._drained and self._spool.since is None:
            log.info("spool.drained", frames=self._drained, seconds=round(monotonic() - self._since_s, 1))
            self._drained = 0

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._look.wait()


def _record(named: Named) -> Record:
    """What is written of a frame: its events are read again when it is drained."""
    return Record(
        origin=Origin(named.drain.app, named.drain.environment),
        key=named.key,
        head_key=named.head_key,
        received_at=named.received_at,
        body=named.frame.body,
        damage=named.frame.damage,
    )


def _named(record: Record, reading: Reading) -> Named:
    """A record's frame as it was when it came, with the damage that is no longer in its body."""
    frame = read_frame(record.body, record.origin, record.received_at, reading)
    drain = DrainCredentials(
        id=record.key.drain_id,
        app_id=record.key.app_id,
        app=record.origin.app,
        environment=record.origin.environment,
        secret_hash=b"",  # who posted it has proved that already
        previous_hash=None,
        previous_until=None,
        logplex_token=None,
    )
    frame = replace(frame, damage=(*frame.damage, *record.damage))
    return Named(drain, frame, record.key, record.head_key, received_at=record.received_at)
