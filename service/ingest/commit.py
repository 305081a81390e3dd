"""One transaction: a batch of named frames → their rows, each frame once, each app's messages as one chunk.

What Postgres refuses costs only itself: it is found by halving, and goes to quarantine.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

import asyncpg
import zstandard

from parsers.frame import Frame, Reading, traffic_of
from parsers.octet_counting import Damage
from parsers.traffic import minutes_of, pack
from service.errors import StoreAway
from service.ingest.posted import Named, Posted, read_all
from service.ingest.tallies import Kept
from service.store import frames
from service.store.database import is_away
from service.store.frames import Claim, FrameKey, Pending, Rows
from service.store.ids import new_id, new_ids

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Compressed on the spot below this size; above it in a thread, since zstd lets go of the interpreter.
INLINE_BYTES = 64 << 10


# What Postgres says about a value that it cannot take. Whatever else it says may pass by itself: a lock, a deadlock.
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)


def is_refused(error: BaseException) -> bool:
    """Whether some value cannot be written, for Postgres, for its driver, or for a mistake of ours: tried again it would not be
    either, and what stands beside it could be."""
    return isinstance(error, _REFUSED) if isinstance(error, asyncpg.PostgresError) else not is_away(error)


async def read_and_commit(
    conn: Connection, batch: Sequence[Posted | Named], reading: Reading, *, careful: bool
) -> tuple[list[Named], list[Kept]]:
    """One transaction for all of `batch`; gives its frames, and what of them was new. Postgres looks for their names while they
    are read. `careful`: what it refuses is found and goes to quarantine."""
    keys = [key for one in batch for key in one.frame_keys]
    if careful or len(set(keys)) < len(keys):  # a frame that came twice
        named = await read_all(batch, reading)
        return named, await _commit_each(conn, named, careful=careful)
    now = datetime.now(UTC)
    async with frames.claiming(conn, keys, received_at=now, came_at=now) as claim:
        named = await read_all(batch, reading)
        if kept := await _kept_as_new(claim, named, _head_keys(named), datetime.now(UTC)):
            return named, kept
    return named, await _commit_each(conn, named)


async def commit_late(conn: Connection, batch: Sequence[Named], *, careful: bool) -> list[Kept]:
    """One transaction for frames that came some time ago; gives what of them was new. They are stored as they would have been
    then: a commit's worth for each second."""
    keys = _frame_keys(batch)
    if not careful and len(set(keys)) == len(keys):
        now, came_at = datetime.now(UTC), min(one.received_at for one in batch)
        async with frames.claiming(conn, keys, received_at=now, came_at=came_at) as claim:
            if kept := await _kept_as_new(claim, batch, _head_keys(batch), None):
                return kept
    return await _commit_each(conn, batch, careful=careful, late=True)


async def _kept_as_new(
    claim: Claim, batch: Sequence[Named], further: Sequence[FrameKey], received_at: datetime | None
) -> list[Kept]:
    """What is kept if all of it is new, which it nearly always is; else nothing."""
    kept = [(one, one.frame) for one in batch]
    return _said(kept) if await claim.keep(further, _rows(kept, received_at)) else []


async def _commit_each(
    conn: Connection, batch: Sequence[Named], *, careful: bool = False, late: bool = False
) -> list[Kept]:
    """One transaction for a batch in which some frames may be repeats: each is kept if it alone is new."""
    batch = await _apart(batch)
    now = datetime.now(UTC)
    came_at = min(one.received_at for one in batch) if late else now
    received_at = None if late else now
    async with conn.transaction():
        fresh = await frames.claim(conn, _frame_keys(batch), _head_keys(batch), received_at=now, came_at=came_at)
        kept = _kept(batch, fresh)
        if careful:
            await _write_carefully(conn, kept, received_at)
        else:
            await frames.write(conn, _rows(kept, received_at))
        return _said(kept)


async def _apart(batch: Sequence[Named]) -> list[Named]:
    """Each frame by itself."""
    alone: list[Named] = []
    for one in batch:
        if one.apart:
            alone += one.apart()
            await asyncio.sleep(0)  # to read them again takes as long as to read them did
        else:
            alone.append(one)
    return alone


def _frame_keys(batch: Sequence[Named]) -> list[FrameKey]:
    return [key for one in batch for key in one.frame_keys]


def _head_keys(batch: Sequence[Named]) -> list[FrameKey]:
    return [one.head_key for one in batch if one.head_key]


async def _write_carefully(conn: Connection, kept: Sequence[tuple[Named, Frame]], received_at: datetime | None) -> None:
    """Writes `kept`; where that is refused, by halves, of the frames and of the one frame that it is, down to the one message
    that goes to quarantine."""
    try:
        async with conn.transaction():  # a savepoint
            await frames.write(conn, _rows(kept, received_at))
    except Exception as error:
        if not is_refused(error):
            raise
        if len(kept) > 1:
            middle = len(kept) // 2
            halves = (kept[:middle], kept[middle:])
        else:
            [(one, frame)] = kept
            if frame.messages <= 1:
                refused = Damage(0, frame.body, f"Postgres refused it: {reason_of(error)}")
                alone = replace(
                    frame, body=b"", messages=0, head=0, events=(), damage=(*frame.damage, refused), traffic=()
                )
                await frames.write(conn, _rows([(one, alone)], received_at))
                return
            first, second = _halves(frame, one.received_at)
            halves = ([(one, first)], [(one, second)])
        for half in halves:
            await _write_carefully(conn, half, received_at)


def _kept(batch: Sequence[Named], fresh: set[FrameKey]) -> list[tuple[Named, Frame]]:
    """What of `batch` is to be stored: each frame once, and of a repeat the L10 line that only it carries. Several that were
    read as one have keys that no other has, and all of them are fresh."""
    fresh = set(fresh)
    kept = []
    for one in batch:
        if one.key in fresh:
            kept.append((one, one.frame))
        elif one.head_key in fresh:
            kept.append((one, _head_of(one.frame, one.received_at)))
        fresh.difference_update(one.keys)
    return kept


def _said(kept: Sequence[tuple[Named, Frame]]) -> list[Kept]:
    return [Kept(one.drain, frame, len(one.frame_keys) if frame is one.frame else 0) for one, frame in kept]


def _head_of(frame: Frame, received_at: datetime) -> Frame:
    """The L10 line in front of `frame`, alone."""
    events = tuple(event for event in frame.events if event.place == 0)
    body = frame.body[: frame.head]
    return replace(frame, body=body, messages=1, events=events, damage=(), traffic=traffic_of(body, received_at))


def _halves(frame: Frame, received_at: datetime) -> tuple[Frame, Frame]:
    """`frame` in two, between two messages; the damage stays with the first."""
    middle, at = frame.messages // 2, 0
    for _ in range(middle):
        space = frame.body.index(b" ", at)
        at = space + 1 + int(frame.body[at:space])
    first = tuple(event for event in frame.events if event.place < middle)
    second = tuple(replace(event, place=event.place - middle) for event in frame.events if event.place >= middle)
    before, after = replace(frame, body=frame.body[:at]), replace(frame, body=frame.body[at:], head=0, damage=())
    return (
        replace(before, messages=middle, events=first, traffic=traffic_of(before.body, received_at)),
        replace(after, messages=frame.messages - middle, events=second, traffic=traffic_of(after.body, received_at)),
    )


def _rows(kept: Sequence[tuple[Named, Frame]], received_at: datetime | None) -> Rows:
    """The rows of `kept`: for each app one chunk, its events and one pending row; for each damage one in quarantine. Without
    `received_at` that is for each app and second in which some of them came."""
    by_app: dict[tuple[int, int], list[tuple[Named, Frame]]] = defaultdict(list)
    for one, frame in kept:
        second = 0 if received_at else int(one.received_at.timestamp())
        by_app[one.key.app_id, second].append((one, frame))
    rows = Rows([], [], [], [])
    for (app_id, _), together in by_app.items():
        at = received_at or max(one.received_at for one, _ in together)
        of_app = [frame for _, frame in together]
        for damage in (one for frame in of_app for one in frame.damage):
            rows.quarantine.append((app_id, new_id(at), at, damage.reason, damage.body))
        spoken = [frame for frame in of_app if frame.messages]
        if spoken:
            _add_chunk(rows, app_id, spoken, at)
    return rows


def _add_chunk(rows: Rows, app_id: int, of_app: Sequence[Frame], received_at: datetime) -> None:
    chunk_id = new_id(received_at)
    body = b"".join([frame.body for frame in of_app])
    compressing = _compressing(body)  # meanwhile the rest is made
    lines, events = 0, sum(len(frame.events) for frame in of_app)
    ids = iter(new_ids(received_at, events))
    for frame in of_app:
        for event in frame.events:
            rows.events.append(
                (
                    app_id,
                    received_at,
                    next(ids),
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
    newest_at = max(frame.newest_at for frame in of_app)
    traffic = pack(minutes_of(share for frame in of_app for share in frame.traffic))
    unfinished = any(frame.unfinished is not None for frame in of_app)
    rows.pending.append(Pending(app_id, chunk_id, received_at, newest_at, events, traffic, unfinished))
    chunk = (
        app_id,
        received_at,
        chunk_id,
        min(frame.first_at for frame in of_app),
        max(frame.last_at for frame in of_app),
        lines,
        sorted(frozenset().union(*(frame.processes for frame in of_app))),
        len(body),
    )
    rows.chunks.append((chunk, compressing))


def _compressing(body: bytes) -> "asyncio.Future[bytes]":
    """The compressed body, at once or when a thread has it."""
    loop = asyncio.get_running_loop()
    if len(body) >= INLINE_BYTES:
        return loop.run_in_executor(None, _compress, body)
    done: asyncio.Future[bytes] = loop.create_future()
    done.set_result(_compress(body))
    return done


def _compress(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


def reason_of(error: BaseException) -> str:
    """One line on `error`, without the values in it: they may be anybody's."""
    known = isinstance(error, asyncpg.PostgresError | StoreAway) and str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0]}"[:200] if known else type(error).__name__
