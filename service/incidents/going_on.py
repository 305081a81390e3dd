"""What goes on over the end of a frame: a stack trace, a command of several lines, the memory before an R14.

A web process reads a frame, or what waits of a drain, by itself, and says where that ends within something. The worker, which
takes an app's chunks in their order, reads such a chunk again behind what was open before it, and sets both right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.beside import OpenCommand, OpenMemory
from parsers.event import Event
from parsers.frame import Continued, Frame, Reading, Unfinished, read_frame
from parsers.line import Origin
from parsers.multiline import OpenTrace
from service.store import continued
from service.store.clocks import Clock
from service.store.continued import ChunkKey
from service.store.leases import Lease
from service.store.pending import Pending

# The kinds of events that lines of another frame can change.
KINDS = ("traceback", "release", "dyno_error")
# What was open this long before a chunk's newest line does not go on in it: Logplex brings together what was written together.
FORGOTTEN_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Open:
    """What the app's next chunk may go on with; of traces and of the command also the chunk that their event stands in."""

    traces: tuple[tuple[ChunkKey, OpenTrace], ...] = ()
    memory: tuple[OpenMemory, ...] = ()
    command: tuple[ChunkKey, OpenCommand] | None = None

    def __bool__(self) -> bool:
        return bool(self.traces or self.memory or self.command)

    def as_unfinished(self) -> Unfinished:
        """The same without the chunks, as the reader of frames takes it."""
        return Unfinished(
            tuple(trace for _, trace in self.traces), self.memory, self.command[1] if self.command else None
        )


_KEPT = TypeAdapter(Open)


@dataclass(frozen=True, slots=True)
class WentOn:
    """The batch's rows, in which events may have been found or lost; events that have come about in chunks of earlier batches;
    and what is open behind the batch."""

    rows: list[Pending]
    events: list[Event]
    open: Open


def kept(clock: Clock | None) -> Open:
    """What was open when the app's last batch was folded."""
    return _KEPT.validate_python(clock.unfinished) if clock and clock.unfinished else Open()


def to_keep(open: Open) -> dict[str, object] | None:
    """What `kept` reads back."""
    return _KEPT.dump_python(open, mode="json") if open else None


async def go_on(conn: AsyncConnection, lease: Lease, rows: Sequence[Pending], before: Open, reading: Reading) -> WentOn:
    """Reads again those chunks of the batch that began within something or end so, and sets their events right."""
    origin = Origin(lease.app, lease.environment)
    done: list[Pending] = []
    late: list[Event] = []
    this_batch = {row.chunk_id for row in rows}
    for row in rows:
        before = _recent(before, row)
        if not before and not row.unfinished:
            done.append(row)
            continue
        key = ChunkKey(row.received_at, row.chunk_id)
        body = await continued.body(conn, lease.app_id, key)
        frame = read_frame(body, origin, row.received_at, reading, before.as_unfinished())
        change = await _set_right(conn, lease, key, frame)
        done.append(replace(row, events=row.events + change))
        if frame.continued:
            for at, event in await _set_earlier_right(conn, lease, before, frame.continued):
                if at.chunk_id in this_batch:
                    done = [replace(one, events=one.events + (one.chunk_id == at.chunk_id)) for one in done]
                else:
                    late.append(event)
        before = _open_after(before, key, frame)
    return WentOn(done, late, before)


async def _set_right(conn: AsyncConnection, lease: Lease, key: ChunkKey, frame: Frame) -> int:
    """Makes the chunk's events those that it tells as a whole; gives by how many they are more."""
    stored = await continued.kept(conn, lease.app_id, key, KINDS, app=lease.app, environment=lease.environment)
    told = {(event.kind, event.place): event for event in frame.events if event.kind in KINDS}
    for at, event in told.items():
        if at not in stored:
            await continued.add(conn, lease.app_id, key, event)
        elif event.fields != stored[at].fields:
            await continued.amend(conn, lease.app_id, key, event)
    lost = [event.id for at, event in stored.items() if at not in told and event.id]
    if lost:
        await continued.remove(conn, lease.app_id, key, lost)
    return len(told) - len(stored)


async def _set_earlier_right(
    conn: AsyncConnection, lease: Lease, before: Open, said: Continued
) -> list[tuple[ChunkKey, Event]]:
    """Lets the events of earlier chunks say what they now say; gives those that have come about."""
    new = []
    for (key, _), event in zip(before.traces, said.traces, strict=True):
        if event is None:
            continue
        stored = await continued.kept(
            conn, lease.app_id, key, [event.kind], app=lease.app, environment=lease.environment
        )
        old = stored.get((event.kind, event.place))
        if old is None:
            new.append((key, await continued.add(conn, lease.app_id, key, event)))
        elif old.fields != event.fields:
            await continued.amend(conn, lease.app_id, key, event)
    if before.command and said.command is not None:
        key, command = before.command
        stored = await continued.kept(
            conn, lease.app_id, key, ["release"], app=lease.app, environment=lease.environment
        )
        old = stored.get(("release", command.place))
        if old is not None and old.fields != said.command:
            await continued.amend(conn, lease.app_id, key, replace(old, fields=dict(said.command)))
    return new


def _recent(open: Open, row: Pending) -> Open:
    """What of it a chunk may still go on with."""
    since = row.newest_at - FORGOTTEN_AFTER
    return Open(
        tuple(one for one in open.traces if one[1].last_at >= since),
        tuple(one for one in open.memory if one.ts >= since),
        open.command if open.command and open.command[1].ts >= since else None,
    )


def _open_after(before: Open, key: ChunkKey, frame: Frame) -> Open:
    """What is open behind the chunk: what still goes on, and what has begun in it."""
    new = frame.unfinished or Unfinished()
    traces = tuple((key, trace) for trace in new.traces)
    command = (key, new.command) if new.command else None
    if said := frame.continued:
        still = tuple(
            (at, trace) for (at, _), trace in zip(before.traces, said.open_traces, strict=True) if trace is not None
        )
        traces = still + traces
        if command is None and said.open_command and before.command:
            command = (before.command[0], said.open_command)
    return Open(traces, new.memory, command)
