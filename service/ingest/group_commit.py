"""Many frames, one transaction: what waits at the same time is committed together, each app's messages as one chunk.

Two committers take turns, each with a connection of its own: while one waits for the disk, frames gather for the other.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

import asyncpg
import zstandard

from parsers.frame import Frame
from parsers.octet_counting import Damage
from service.errors import StoreAway
from service.log import log
from service.store import frames, partitions
from service.store.database import Database
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey, Rows
from service.store.ids import new_id

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

COMMITTERS = 2
# One transaction's worth: at 300 bytes a line some 10,000 lines, 30 ms of work for either side.
BATCH_BYTES = 4 << 20
# Compressed on the spot below this size; above it in a thread, since zstd lets go of the interpreter.
INLINE_BYTES = 64 << 10
AWAY_SECONDS = 0.1

# What Postgres, or the driver before it, says about a value that it cannot take.
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError, ValueError)


@dataclass(slots=True, eq=False)
class Waiting:
    """A frame on its way into the store. `key` is None where nothing names it. `done` is set when it is committed.

    `head_key` is the key of the L10 line in front, if any: a repeat's may be new though the frame is not.
    """

    drain: DrainCredentials
    frame: Frame
    key: FrameKey
    head_key: FrameKey | None
    done: "asyncio.Future[None]" = field(repr=False)

    @property
    def keys(self) -> list[FrameKey]:
        """All that must be new for all of it to be new."""
        return [self.key] if self.head_key is None else [self.key, self.head_key]

    @property
    def size(self) -> int:
        """Its bytes in a batch."""
        return len(self.frame.body) + sum(len(one.body) for one in self.frame.damage)


class GroupCommit:
    """Commits frames; `run` it beside whoever calls `keep`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: deque[Waiting] = deque()
        self._filled = asyncio.Event()
        self._closing = False

    async def keep(self, waiting: Waiting) -> None:
        """Returns when the frame is committed, or was before. Cancelled: it is not, unless a commit is under way."""
        self._queue.append(waiting)
        self._filled.set()
        try:
            await waiting.done
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            raise

    async def run(self) -> None:
        """Until `close` was called and nothing waits any more."""
        async with asyncio.TaskGroup() as group:
            for _ in range(COMMITTERS):
                group.create_task(self._commit_for_ever())

    def close(self) -> None:
        """Lets `run` end once everything that waits is committed or given up."""
        self._closing = True
        self._filled.set()

    async def _commit_for_ever(self) -> None:
        conn: Connection | None = None
        careful = False
        while batch := await self._next_batch():
            try:
                if conn is None or conn.is_closed():
                    conn = await self._db.asyncpg()
                await _commit(conn, batch, careful=careful)
            except Exception as error:
                self._give_back(batch)
                careful = isinstance(error, REFUSED) and not careful
                if isinstance(error, asyncpg.CheckViolationError):
                    careful = await self._make_partitions()
                elif not careful:
                    _close(conn)
                    conn = None
                    log.warning("ingest.commit_failed", frames=len(batch), reason=_reason(error))
                    await asyncio.sleep(AWAY_SECONDS)
            else:
                careful = False
                for one in batch:
                    if not one.done.done():
                        one.done.set_result(None)
        _close(conn)

    def _give_back(self, batch: Sequence[Waiting]) -> None:
        self._queue.extendleft(one for one in reversed(batch) if not one.done.done())
        self._filled.set()

    async def _make_partitions(self) -> bool:
        """A partition was missing, since no worker has made it ahead. Gives False: the rows themselves are good."""
        try:
            async with self._db.begin() as conn:
                await partitions.ensure(conn, datetime.now(UTC))
        except StoreAway as error:
            log.warning("ingest.partitions_failed", reason=str(error))
            await asyncio.sleep(AWAY_SECONDS)
        return False

    async def _next_batch(self) -> list[Waiting]:
        """What waits, up to BATCH_BYTES; empty when there will be no more."""
        batch: list[Waiting] = []
        while not batch:
            while not self._queue:
                if self._closing:
                    return []
                self._filled.clear()
                await self._filled.wait()
            size = 0
            while self._queue and size < BATCH_BYTES:
                one = self._queue.popleft()
                if not one.done.done():
                    batch.append(one)
                    size += one.size
        return batch


async def _commit(conn: Connection, batch: Sequence[Waiting], *, careful: bool) -> None:
    """One transaction for all of `batch`. `careful`: what Postgres refuses is found and goes to quarantine."""
    received_at = datetime.now(UTC)
    keys = [key for one in batch for key in one.keys]
    kept = _kept(batch, set(keys))
    rows = await _rows(kept, received_at)  # before the transaction: a repeat is rare, and locks are short this way
    if not careful and await frames.keep_new(conn, keys, rows, received_at=received_at):
        return
    async with conn.transaction():
        kept = _kept(batch, await frames.claim(conn, keys, received_at=received_at))
        if not careful:
            await frames.write(conn, await _rows(kept, received_at))
            return
        for drain, frame in kept:
            await _write_carefully(conn, drain, frame, received_at)


async def _write_carefully(conn: Connection, drain: DrainCredentials, frame: Frame, received_at: datetime) -> None:
    """Writes `frame`; where it is refused, its halves, down to the one message that goes to quarantine."""
    try:
        async with conn.transaction():  # a savepoint
            await frames.write(conn, await _rows([(drain, frame)], received_at))
    except REFUSED as error:
        if frame.messages > 1:
            for half in _halves(frame):
                await _write_carefully(conn, drain, half, received_at)
            return
        refused = Damage(0, frame.body, f"Postgres refused it: {_reason(error)}")
        alone = replace(frame, body=b"", messages=0, head=0, events=(), damage=(*frame.damage, refused))
        await frames.write(conn, await _rows([(drain, alone)], received_at))


def _kept(batch: Sequence[Waiting], fresh: set[FrameKey]) -> list[tuple[DrainCredentials, Frame]]:
    """What of `batch` is to be stored: each frame once, and of a repeat the L10 line that only it carries."""
    fresh = set(fresh)
    kept = []
    for one in batch:
        if one.key in fresh:
            kept.append((one.drain, one.frame))
        elif one.head_key in fresh:
            kept.append((one.drain, _head_of(one.frame)))
        fresh.difference_update(one.keys)
    return kept


def _head_of(frame: Frame) -> Frame:
    """The L10 line in front of `frame`, alone."""
    events = tuple(event for event in frame.events if event.place == 0)
    return replace(frame, body=frame.body[: frame.head], messages=1, events=events, damage=())


def _halves(frame: Frame) -> tuple[Frame, Frame]:
    """`frame` in two, between two messages; the damage stays with the first."""
    middle, at = frame.messages // 2, 0
    for _ in range(middle):
        space = frame.body.index(b" ", at)
        at = space + 1 + int(frame.body[at:space])
    first = tuple(event for event in frame.events if event.place < middle)
    second = tuple(replace(event, place=event.place - middle) for event in frame.events if event.place >= middle)
    return (
        replace(frame, body=frame.body[:at], messages=middle, events=first),
        replace(frame, body=frame.body[at:], messages=frame.messages - middle, head=0, events=second, damage=()),
    )


async def _rows(kept: Sequence[tuple[DrainCredentials, Frame]], received_at: datetime) -> Rows:
    """The rows of `kept`: for each app one chunk, its events and one pending row; for each damage one in quarantine."""
    by_app: dict[int, list[Frame]] = defaultdict(list)
    for drain, frame in kept:
        by_app[drain.app_id].append(frame)
    rows = Rows([], [], [], [])
    for app_id, of_app in by_app.items():
        for damage in (one for frame in of_app for one in frame.damage):
            rows.quarantine.append((app_id, new_id(received_at), received_at, damage.reason, damage.body))
        spoken = [frame for frame in of_app if frame.messages]
        if spoken:
            await _add_chunk(rows, app_id, spoken, received_at)
    return rows


async def _add_chunk(rows: Rows, app_id: int, of_app: Sequence[Frame], received_at: datetime) -> None:
    chunk_id = new_id(received_at)
    body = b"".join([frame.body for frame in of_app])
    lines = 0
    for frame in of_app:
        for event in frame.events:
            rows.events.append(
                (
                    app_id,
                    received_at,
                    new_id(received_at),
                    event.ts,
                    event.kind,
                    event.code,
                    int(event.severity),
                    event.source,
                    event.process,
                    event.dyno,
                    event.message,
                    event.fields,
                    event.flags,
                    chunk_id,
                    lines + event.place,
                )
            )
        lines += frame.messages
    compressed = _compress(body) if len(body) < INLINE_BYTES else await asyncio.to_thread(_compress, body)
    rows.chunks.append(
        (
            app_id,
            received_at,
            chunk_id,
            min(frame.first_at for frame in of_app),
            max(frame.last_at for frame in of_app),
            lines,
            sorted(frozenset().union(*(frame.processes for frame in of_app))),
            len(body),
            compressed,
        )
    )
    newest_at = max(frame.newest_at for frame in of_app)
    rows.pending.append((app_id, chunk_id, received_at, newest_at, sum(len(frame.events) for frame in of_app)))


def _compress(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


def _close(conn: "Connection | None") -> None:
    """Gives up a connection that something went wrong on."""
    if conn is not None and not conn.is_closed():
        conn.terminate()


def _reason(error: BaseException) -> str:
    """One line on `error`, without the values in it: they may be anybody's."""
    text = str(error).splitlines()[0] if isinstance(error, asyncpg.PostgresError) and str(error) else ""
    return f"{type(error).__name__}: {text}"[:200]
