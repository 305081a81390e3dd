"""The spool: frames on a disk while the database is away, in files of one folder that any number of web processes share.

Each process writes files of its own and drains them in the order in which they were written. A file whose process is gone
belongs to whoever takes its lock first: at the start, and while running.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service import metrics
from service.errors import SettingError, StoreAway
from service.ingest.segment import HEAD_BYTES, SUFFIX, Record, Segment, Skipped, pack
from service.log import log

# A file is removed once all of it is committed: small enough that the space comes back soon, large enough to be few.
SEGMENT_BYTES = 64 << 20


class SpoolFull(StoreAway):
    """The spool takes no frame now: its bound is reached, or the disk is full or broken."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames that are to be committed next, all of one file, up to its byte `end`; and what between them is none."""

    segment: Segment
    records: Sequence[Record]
    skipped: Sequence[Skipped]
    end: int


class Spool:
    """The files of `folder` that this process holds: at most `most_bytes` together with those of the other processes."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(1, most_bytes // 16))
        self._held: list[Segment] = []
        self._active: Segment | None = None
        self._others_bytes = 0
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, folder: Path, *, most_bytes: int) -> "Spool":
        """The spool in `folder`, which is made where it is missing, for its owner alone. Raises SettingError where it
        cannot be used."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            Segment.create(folder).remove()
        except OSError as error:
            raise SettingError(
                f"DRAINWATCH_SPOOL is {str(folder)!r}, where no file can be made ({error.strerror}); "
                "expected a folder on a durable disk that this user may write to"
            ) from error
        return cls(folder, most_bytes=most_bytes)

    @property
    def bytes(self) -> int:
        """What the folder holds, of all processes; of the others', as of the last `adopt`."""
        return sum(segment.size for segment in self._held) + self._others_bytes

    @property
    def frames(self) -> int:
        """How many frames wait in the files of this process."""
        return sum(segment.frames for segment in self._held)

    @property
    def since(self) -> datetime | None:
        """No frame that waits in the files of this process came before then; None where none waits."""
        return min((segment.next_at for segment in self._held if segment.next_at), default=None)

    async def append(self, record: Record) -> None:
        """Returns when the frame is on the disk, with all others that wait meanwhile by one fsync. Raises SpoolFull."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_out())
        await done

    async def adopt(self) -> None:
        """Takes over the files that no living process holds."""
        held = {segment.path for segment in self._held}
        found, self._others_bytes = await asyncio.to_thread(_left_behind, self.folder, held)
        for segment in found:
            log.info("spool.adopted", file=segment.path.name, bytes=segment.size, frames=segment.frames)
        self._held = sorted([*self._held, *found], key=lambda segment: segment.path.name)

    async def next(self, *, most: int) -> Batch | None:
        """The frames to commit next, about `most` bytes of them; None where none waits. Raises OSError."""
        await self._remove_done()
        for segment in self._held:
            if segment.read_to == segment.size:
                continue
            stretch = await asyncio.to_thread(segment.read, most=most)
            return Batch(segment, stretch.records, stretch.skipped, stretch.end)
        return None

    def done(self, batch: Batch) -> None:
        """The frames of `batch` are committed, and what is none is skipped."""
        segment = batch.segment
        for skipped in batch.skipped:
            said = {"file": segment.path.name, "at_byte": skipped.at, "bytes": skipped.size}
            if skipped.torn:
                log.warning("spool.torn", **said)
            else:
                segment.damaged = True
                metrics.SPOOL_DAMAGED.inc()
                log.error("spool.damaged", **said)
        segment.read_to = batch.end
        segment.frames = max(0, segment.frames - len(batch.records))
        # What follows came later, give or take how long a frame waits for its turn.
        segment.next_at = batch.records[-1].received_at if batch.records else segment.next_at
        if segment.read_to == segment.size:
            segment.next_at, segment.frames = None, 0

    async def close(self) -> None:
        """Leaves the files to whoever comes next; waits for what is being written."""
        if self._writing is not None:
            await self._writing
        await self._remove_done()
        for segment in self._held:
            segment.close()
        self._held = []

    async def _write_out(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                taken, reason = await self._write([record for record, _ in batch])
                for number, (_, done) in enumerate(batch):
                    if done.done():  # nobody waits any more; it is kept, for it may have been sent again elsewhere
                        continue
                    if number < taken:
                        done.set_result(None)
                    else:
                        done.set_exception(SpoolFull(f"the spool takes nothing more: {reason}"))
        finally:
            self._writing = None

    async def _write(self, records: Sequence[Record]) -> tuple[int, str]:
        """Writes as many of `records` as there is room for, and syncs once; how many that are, and why the rest is not."""
        room = self._most_bytes - self.bytes
        segment = self._active if self._active and self._active.size < self._segment_bytes else None
        try:
            segment, taken = await asyncio.to_thread(_written, segment, self.folder, records, room)
        except Exception as error:  # whatever it is, whoever waits is told
            self._active = None  # what the file holds is safe, and nothing is added to it any more
            return 0, str(error.strerror if isinstance(error, OSError) else type(error).__name__)
        if segment is not None and taken:
            segment.frames += taken
            segment.next_at = segment.next_at or records[0].received_at
            if segment is not self._active:
                self._active = segment
                self._held.append(segment)
        return taken, f"DRAINWATCH_SPOOL_MAX, {self._most_bytes} bytes, is reached"

    async def _remove_done(self) -> None:
        for segment in list(self._held):
            if segment.read_to < segment.size or (segment is self._active and self._writing is not None):
                continue
            if segment is self._active:
                self._active = None
            self._held.remove(segment)
            await asyncio.to_thread(segment.remove)


def _written(segment: Segment | None, folder: Path, records: Sequence[Record], room: int) -> tuple[Segment | None, int]:
    """Adds to `segment` (None: a new one) those of `records` that fit; the file, and how many they were. Raises OSError."""
    packed: list[bytes] = []
    for one in map(pack, records):
        room -= HEAD_BYTES + len(one)
        if room < 0:
            break
        packed.append(one)
    if not packed:
        return segment, 0
    made = segment or Segment.create(folder)
    try:
        made.append(packed)
    except OSError:
        if segment is None:
            made.remove()
        raise
    return made, len(packed)


def _left_behind(folder: Path, held: set[Path]) -> tuple[list[Segment], int]:
    """The files that were nobody's, and the bytes of those that are another's."""
    found: list[Segment] = []
    others = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path in held:
            continue
        segment = Segment.adopt(path)
        if segment is None:
            with suppress(OSError):
                others += os.stat(path).st_size
            continue
        first = segment.read(most=1)
        segment.next_at = first.records[0].received_at if first.records else None
        segment.frames = segment.count()
        found.append(segment)
    return found, others
