"""What has been committed since a place: what streams follow, exactly, though commits become visible in no order at all.

Hard about it: an id or a time is given to rows before their transaction commits, so another's with a later one may be seen
first, and whoever remembers the newest seen never sees the one that came late. A window in which one looks again is either
too short for a writer that stalls, or repeats.

So a place is no id but a *snapshot*, Postgres's own account of which transactions were over at a moment: each commit leaves a
row here with its transaction's number, and what arrived between two snapshots is what the later one sees and the earlier does
not. Nothing is missed, nothing comes twice, and any process can go on from a place that another gave. Between two snapshots
the order is that of receipt; a place within says how far one has come.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Refused
from service.store.tables import arrivals

# In the place of a number of events: it is one alone.
ALONE = -1
# Who was away for longer begins anew: a row is 100 bytes, and an app that says three lines at a time would double.
KEPT = timedelta(hours=6)
_CLOCKS_DIFFER_BY = timedelta(hours=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_HEAD = struct.Struct(">QQH")
_STEP = struct.Struct(">qqI16sI")
_CHECK_BYTES = 4


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """How far one has come between two snapshots: an arrival, and how many of its events or lines are done with."""

    received_at: datetime
    app_id: int
    chunk_id: UUID
    number: int


BEGIN = Step(_FIRST, 0, UUID(int=0), 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream is: all that the snapshot `since`, of the time `since_at`, sees has been told, and of what `until` sees
    beyond it all before `step`."""

    since: str
    since_at: datetime
    until: str
    step: Step

    @classmethod
    def of(cls, snapshot: str, at: datetime) -> "Place":
        """Where all that a snapshot sees has been told, and nothing else."""
        return cls(snapshot, at, snapshot, BEGIN)

    def is_kept(self, at: datetime) -> bool:
        """Whether all that comes behind it is still known at a time."""
        return at - self.since_at < KEPT


@dataclass(frozen=True, slots=True)
class Arrival:
    """A commit's lines of one app: in which chunk they came, and how many events they hold. Or one event that came about later:
    `chunk_id` is its id then, and `events` ALONE."""

    app_id: int
    received_at: datetime
    chunk_id: UUID
    events: int

    def step(self, number: int) -> Step:
        """The step behind its first `number` events or lines."""
        return Step(self.received_at, self.app_id, self.chunk_id, number)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Some of what arrived, in order, between two snapshots; `place` is where one is behind all of it."""

    items: Sequence[Arrival]
    begin: Place
    until: str
    place: Place

    def place_at(self, step: Step) -> Place:
        """Where one is who has come to that step."""
        return replace(self.begin, until=self.until, step=step)


async def announce(conn: AsyncConnection, app_id: int, found: Sequence[tuple[UUID, datetime]]) -> None:
    """Says that events were added by this transaction which no chunk has brought: their ids, and when they were received."""
    rows = [{"app_id": app_id, "chunk_id": id, "received_at": at, "events": ALONE} for id, at in found]
    if rows:
        await conn.execute(insert(arrivals), rows)


async def here(conn: AsyncConnection) -> Place:
    """The place of this moment."""
    at = datetime.now(UTC)
    return Place.of(str((await conn.execute(text("select pg_current_snapshot()::text"))).scalar_one()), at)


async def behind(conn: AsyncConnection, place: Place, *, until: Place | None = None, most: int) -> Arrived:
    """What comes behind a place, up to what is committed now (or what the snapshot of `until` sees), in no more than `most`
    arrivals; the arrival at the place itself may be the first of them."""
    at = datetime.now(UTC) if until is None else until.since_at
    bound = place.until if place.since != place.until else until.since if until is not None else None
    step = place.step if place.since != place.until else BEGIN
    asked = {"since": place.since, "xmin": int(place.since.partition(":")[0]), "most": most}
    if bound is not None:
        asked |= {"until": bound, "at": step.received_at, "app": step.app_id, "chunk": step.chunk_id}
    rows = (await conn.execute(_BEHIND if bound is None else _WITHIN, asked)).all()
    found = [Arrival(row.app_id, row.received_at, row.chunk_id, row.events) for row in rows if row.app_id is not None]
    end = str(rows[0].now) if bound is None else bound
    if len(found) == most:
        after = replace(place, until=end, step=found[-1].step(_ALL))
    else:
        # When a snapshot that a place brought along was taken is not known, only that it was later than `since`.
        after = Place.of(end, place.since_at if place.since != place.until else at)
    return Arrived(found, place, end, after)


async def arrivals_before(conn: AsyncConnection, before: datetime, *, most: int) -> int:
    """Forgets up to `most` arrivals that were committed before that time, an hour aside, for clocks differ; gives how many."""
    return (await conn.execute(_FORGET, {"before": before - _CLOCKS_DIFFER_BY, "most": most})).rowcount


def place_text(place: Place) -> str:
    """The place, opaque, as `read_place` reads it back."""
    step = place.step
    times = ((at - _EPOCH) // _MICROSECOND for at in (place.since_at, step.received_at))
    packed = _packed(place.since) + _STEP.pack(*times, step.app_id, step.chunk_id.bytes, step.number)
    packed += b"" if place.since == place.until else _packed(place.until)
    return base64.urlsafe_b64encode(packed + _check(packed)).decode().rstrip("=")


def read_place(written: str) -> Place:
    """The place in a text. Raises Refused (400) for any other."""
    try:
        raw = base64.b64decode(written.encode("ascii") + b"=" * (-len(written) % 4), altchars=b"-_", validate=True)
        packed = raw[:-_CHECK_BYTES]
        if raw[-_CHECK_BYTES:] != _check(packed):
            raise ValueError("the check does not fit")
        since, rest = _unpacked(packed)
        *times, app_id, chunk_id, number = _STEP.unpack_from(rest)
        since_at, received_at = (_EPOCH + at * _MICROSECOND for at in times)
        rest = rest[_STEP.size :]
        until, rest = _unpacked(rest) if rest else (since, b"")
        return Place(since, since_at, until, Step(received_at, app_id, UUID(bytes=chunk_id), number))
    except (ValueError, binascii.Error, struct.error, OverflowError) as error:
        expected = "the `id` of a message of this stream"
        detail = f"Last-Event-ID is none that this stream has given; expected {expected}, or none"
        raise Refused(400, detail, parameter="Last-Event-ID", expected=expected) from error


def _packed(snapshot: str) -> bytes:
    """`xmin:xmax:running,…`, in which what runs lies close to xmin."""
    xmin, xmax, running = snapshot.split(":")
    numbers = [int(one) - int(xmin) for one in running.split(",") if one]
    return _HEAD.pack(int(xmin), int(xmax), len(numbers)) + struct.pack(f">{len(numbers)}I", *numbers)


def _unpacked(packed: bytes) -> tuple[str, bytes]:
    xmin, xmax, count = _HEAD.unpack_from(packed)
    numbers = struct.unpack_from(f">{count}I", packed, _HEAD.size)
    snapshot = f"{xmin}:{xmax}:{','.join(str(xmin + one) for one in numbers)}"
    return snapshot, packed[_HEAD.size + 4 * count :]


def _check(packed: bytes) -> bytes:
    return hashlib.blake2s(packed, digest_size=_CHECK_BYTES, key=b"stream").digest()


# No chunk has as many lines.
_ALL = 2**32 - 1

_NEW = "xid >= :xmin and not pg_visible_in_snapshot(xid::text::xid8, cast(cast(:since as text) as pg_snapshot))"

# What this very statement sees and `since` does not; one row at least, for the snapshot that it sees.
_BEHIND = text(f"""
    select pg_current_snapshot()::text as now, found.*
    from (values (1)) as one left join lateral (
        select app_id, received_at, chunk_id, events from arrivals where {_NEW}
        order by received_at, app_id, chunk_id limit :most
    ) as found on true
""")  # noqa: S608 - of fixed pieces

_WITHIN = text(f"""
    select app_id, received_at, chunk_id, events from arrivals
    where {_NEW} and pg_visible_in_snapshot(xid::text::xid8, cast(cast(:until as text) as pg_snapshot))
        and (received_at, app_id, chunk_id) >= (:at, :app, :chunk)
    order by received_at, app_id, chunk_id limit :most
""")  # noqa: S608 - of fixed pieces

_FORGET = text("""
    delete from arrivals where (xid, app_id, chunk_id) in (
        select xid, app_id, chunk_id from arrivals where made_at < :before
        order by xid, app_id, chunk_id limit :most for update skip locked)
""")
