"""One file of the spool: frames one after the other, each behind the file's mark, its length and its checksum.

Hard about it: after a crash, or on a bad disk, a file may hold anything. A record counts if its checksum holds; where one
does not, the next is looked for by the mark. That is eight random bytes, other ones in each file (its name says which), so
that nothing an app has logged can pass for a record.

A file belongs to the process that holds its lock (flock(2)), which the kernel releases when that dies, however it dies.
"""

import fcntl
import json
import os
import secrets
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zlib import crc32

import zstandard

from parsers.line import Origin
from parsers.octet_counting import Damage
from service.store.frames import FrameKey

SUFFIX = ".spool"
# What is left of a file in which something could not be read: for people, nobody reads it again.
DAMAGED_SUFFIX = ".damaged"

HEAD_BYTES = 16
_HEAD = struct.Struct(">8sII")  # the mark, how many bytes follow, their CRC-32
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """A frame as it waits on the disk: masked, with all that is needed to commit it as if it had just come. `body` are its
    good messages."""

    origin: Origin
    key: FrameKey
    head_key: FrameKey | None
    received_at: datetime
    body: bytes
    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes of a file that are no record. `torn`: the last one, cut short, which was never acknowledged."""

    at: int
    size: int
    torn: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records from one place of a file to the byte `end`, in order, and what between them is none."""

    records: Sequence[Record]
    skipped: Sequence[Skipped]
    end: int


class Segment:
    """A file that this process holds. `size` is how far it is on the disk for sure, `read_to` how far it is committed.

    `next_at` is when the first frame came that is not committed yet, `frames` how many there are of them.
    """

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.size = os.fstat(file).st_size
        self.read_to = 0
        self.next_at: datetime | None = None
        self.frames = 0
        self.damaged = False
        self._file = file
        self._mark = bytes.fromhex(path.stem.rpartition("-")[2])

    @classmethod
    def create(cls, folder: Path) -> "Segment":
        """A new, empty file of this process in `folder`. Raises OSError."""
        while True:
            # By their names, files sort by the time they were made.
            path = folder / f"{time.time_ns() // 1_000_000:013}-{secrets.token_hex(8)}{SUFFIX}"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            if _lock(file):
                _sync_folder(folder)
                return cls(path, file)
            os.close(file)  # another process took it for one that nobody holds, and has removed it

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """The file, from now on this process's; None while another lives that holds it, and where it is no more."""
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            return None
        if not _lock(file):
            os.close(file)
            return None
        return cls(path, file)

    def append(self, packed: Sequence[bytes]) -> None:
        """Adds records, as `pack` makes them, and returns when they are on the disk. Raises OSError: then none of them is."""
        data = b"".join(_HEAD.pack(self._mark, len(one), crc32(one)) + one for one in packed)
        try:
            _write_all(self._file, data, self.size)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)

    def read(self, *, most: int) -> Stretch:
        """The records from `read_to` on, until they are `most` bytes or there are no more. Raises OSError."""
        records: list[Record] = []
        skipped: list[Skipped] = []
        at, end, size = self.read_to, self.size, 0
        while at < end and size < most:
            found = self._record_at(at, end)
            if found is None:
                begin = self._next_record(at, end)
                skipped.append(Skipped(at, begin - at, torn=begin == end and self._is_cut_short(at, end)))
                at = begin
                continue
            record, at = found
            records.append(record)
            size += len(record.body) + sum(len(one.body) for one in record.damage)
        return Stretch(records, skipped, at)

    def count(self) -> int:
        """How many records there are from `read_to` on, by their lengths alone."""
        found, at = 0, self.read_to
        while (head := self._head_at(at)) is not None:
            at += _HEAD.size + head[0]
            found += at <= self.size
        return found

    def remove(self) -> None:
        """Ends the file: all in it is committed. What of it could not be read is left to people under another name."""
        with suppress(OSError):
            if self.damaged:
                self.path.rename(self.path.with_suffix(DAMAGED_SUFFIX))
            else:
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Leaves the file to whoever comes next."""
        os.close(self._file)

    def _record_at(self, at: int, end: int) -> tuple[Record, int] | None:
        """The record that begins there, and where it ends; None where none does."""
        head = self._head_at(at)
        begin = at + _HEAD.size
        if head is None or begin + head[0] > end:
            return None
        packed = os.pread(self._file, head[0], begin)
        if crc32(packed) != head[1]:
            return None
        try:
            return _unpack(packed), begin + head[0]
        except (ValueError, KeyError, zstandard.ZstdError):  # of another version, or a miracle
            return None

    def _head_at(self, at: int) -> tuple[int, int] | None:
        """Length and checksum of a record that seems to begin there."""
        head = os.pread(self._file, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None
        mark, length, checksum = _HEAD.unpack(head)
        return (length, checksum) if mark == self._mark else None

    def _next_record(self, at: int, end: int) -> int:
        """Where the next record begins behind `at`, or `end`."""
        at += 1
        while at < end:
            window = os.pread(self._file, min(_WINDOW, end - at), at)
            found = window.find(self._mark)
            if found < 0:
                at += max(1, len(window) - len(self._mark) + 1)
            elif self._record_at(at + found, end):
                return at + found
            else:
                at += found + 1
        return end

    def _is_cut_short(self, at: int, end: int) -> bool:
        """Whether what begins there is a record of which the end was not written."""
        if end - at < _HEAD.size:
            return True
        head = self._head_at(at)
        if head is None:  # or a stretch that was made room for and never written
            return not any(os.pread(self._file, min(_WINDOW, end - at), at))
        return at + _HEAD.size + head[0] > end


def _lock(file: int) -> bool:
    """Takes the file's lock; False where another has it, or has removed the file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0


def pack(record: Record) -> bytes:
    """The record's bytes on the disk, all but its head."""
    said = {
        "app": record.origin.app,
        "environment": record.origin.environment,
        "app_id": record.key.app_id,
        "drain_id": record.key.drain_id,
        "frame": record.key.digest.hex(),
        "head": record.head_key.digest.hex() if record.head_key else None,
        "received_at": record.received_at.isoformat(),
        "size": len(record.body),
        "damage": [(one.at, len(one.body), one.reason) for one in record.damage],
    }
    parts = [json.dumps(said).encode(), b"\n", record.body, *(one.body for one in record.damage)]
    # An hour of a busy fleet is gigabytes of lines: a sixth of that on the disk, for 1 µs a line.
    return zstandard.ZstdCompressor(level=1).compress(b"".join(parts))


def _unpack(packed: bytes) -> Record:
    head, _, rest = zstandard.ZstdDecompressor().decompress(packed).partition(b"\n")
    said = json.loads(head)
    app_id, drain_id = said["app_id"], said["drain_id"]
    at, damage = said["size"], []
    for place, size, reason in said["damage"]:
        damage.append(Damage(place, rest[at : at + size], reason))
        at += size
    return Record(
        origin=Origin(said["app"], said["environment"]),
        key=FrameKey(app_id, drain_id, bytes.fromhex(said["frame"])),
        head_key=FrameKey(app_id, drain_id, bytes.fromhex(said["head"])) if said["head"] else None,
        received_at=datetime.fromisoformat(said["received_at"]),
        body=rest[: said["size"]],
        damage=tuple(damage),
    )


def _write_all(file: int, data: bytes, at: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written


def _sync_folder(folder: Path) -> None:
    """Makes a file's name as durable as its content."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
