"""What was posted → frames: those of one drain that wait at the same time are read as one, each with the name it came under.

To read a frame costs 40 µs before its first line, and a quiet app's have three lines. So bodies are read when they are
committed, as many together as there are then. Where one of them must not be taken with the others (it has damage, a line of
Logplex's own in front, or came twice) each is read alone.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from parsers.frame import Frame, Reading, read_frame, read_together
from parsers.line import Origin
from parsers.octet_counting import Damage
from service.log import log
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey

# As much is read at a time: 250 lines, under a millisecond, after which others have their turn; of more, the columns would not
# fit the processor's cache.
TOGETHER_BYTES = 64 << 10


class Apart(Protocol):
    """What frames that were read as one are, each read alone."""

    def __call__(self) -> "list[Named]": ...


@dataclass(slots=True, eq=False)
class Named:
    """A frame and what names it, so that it is stored once; or several frames of one drain that were read as one, with the
    keys of all. `received_at` is when it came, the last of several.

    `head_key` is the key of the L10 line in front, if any: a repeat's may be new though the frame is not. `mismatches` is how
    many of the frames hold another number of messages than they said. `apart` is how each of several is read alone.
    """

    drain: DrainCredentials
    frame: Frame
    key: FrameKey
    head_key: FrameKey | None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC), kw_only=True)
    further: tuple[FrameKey, ...] = field(default=(), kw_only=True)
    mismatches: int = field(default=0, kw_only=True)
    apart: Apart | None = field(default=None, kw_only=True)

    @property
    def frame_keys(self) -> tuple[FrameKey, ...]:
        """The key of each frame that is in it."""
        return (self.key, *self.further)

    @property
    def keys(self) -> tuple[FrameKey, ...]:
        """All that must be new for all of it to be new."""
        return self.frame_keys if self.head_key is None else (*self.frame_keys, self.head_key)

    @property
    def size(self) -> int:
        """Its bytes in a batch."""
        return len(self.frame.body) + sum(len(one.body) for one in self.frame.damage)


@dataclass(slots=True, eq=False)
class Posted:
    """A body as it was posted, not empty and not yet read. `name` is what its sender calls the frame, `declared` how many
    messages it says are in it, None where it says nothing."""

    drain: DrainCredentials
    body: bytes
    name: bytes
    received_at: datetime
    declared: bytes | None = None
    key: FrameKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = _key(self.drain, self.name)

    @property
    def frame_keys(self) -> tuple[FrameKey, ...]:
        """The key of each frame that is in it."""
        return (self.key,)

    @property
    def size(self) -> int:
        """Its bytes in a batch."""
        return len(self.body)

    def read(self, reading: Reading) -> Named:
        """It, read alone. What cannot be read for a mistake of ours is damage as a whole: it must not hold up others."""
        try:
            frame = read_frame(self.body, _origin(self.drain), self.received_at, reading)
        except Exception as error:
            log.exception("ingest.read_failed", app=self.drain.app, reason=type(error).__name__)
            why = f"it could not be read ({type(error).__name__}): a mistake in drainwatch"
            damage = Damage(0, reading.redaction.masked(self.body), why)
            frame = replace(read_frame(b"", _origin(self.drain), self.received_at, reading), damage=(damage,))
        return self.named(frame)

    def named(self, frame: Frame) -> Named:
        """The frame that it was read as, with its name."""
        head = _key(self.drain, self.name + b"\n" + frame.body[: frame.head]) if frame.head else None
        mismatches = int(_mismatch(self.declared, frame.messages))
        return Named(self.drain, frame, self.key, head, received_at=self.received_at, mismatches=mismatches)


async def read_all(batch: Sequence[Posted | Named], reading: Reading) -> list[Named]:
    """The frames of a batch, those of one drain that were not read yet as few as can be; of each drain in their order."""
    named: list[Named] = []
    size = 0
    for piece in _pieces(batch):
        if isinstance(piece, Named):
            named.append(piece)
            continue
        size += sum(len(one.body) for one in piece)
        if size > TOGETHER_BYTES:
            await asyncio.sleep(0)
            size = 0
        together = _together(piece, reading) if len(piece) > 1 else None
        named += [together] if together else _each(piece, reading)
    return named


def _pieces(batch: Sequence[Posted | Named]) -> list[list[Posted] | Named]:
    """What is read at a time: TOGETHER_BYTES of a drain, one after the other; what was read already as it is."""
    pieces: list[list[Posted] | Named] = []
    open_pieces: dict[int, list[Posted]] = {}
    sizes: dict[int, int] = {}
    for one in batch:
        drain_id = one.drain.id
        if isinstance(one, Named):
            open_pieces.pop(drain_id, None)
            pieces.append(one)
            continue
        size = sizes.get(drain_id, 0) + len(one.body)
        piece = open_pieces.get(drain_id)
        if piece is None or size > TOGETHER_BYTES:
            piece, size = [], len(one.body)
            open_pieces[drain_id] = piece
            pieces.append(piece)
        piece.append(one)
        sizes[drain_id] = size
    return pieces


def _together(posted: Sequence[Posted], reading: Reading) -> Named | None:
    """Some of one drain, read as one; None where they must be read alone."""
    first, last = posted[0], posted[-1]
    key, *further = keys = [one.key for one in posted]
    if len(set(keys)) < len(keys):
        return None
    try:
        read = read_together([one.body for one in posted], _origin(first.drain), last.received_at, reading)
    except Exception:  # a mistake of ours, which one of them alone has to bear
        return None
    if read is None:
        return None
    frame, counts = read
    mismatches = sum(_mismatch(one.declared, count) for one, count in zip(posted, counts, strict=True))
    return Named(
        first.drain,
        frame,
        key,
        None,
        received_at=last.received_at,
        further=tuple(further),
        mismatches=mismatches,
        apart=partial(_each, posted, reading),
    )


def _each(posted: Sequence[Posted], reading: Reading) -> list[Named]:
    return [one.read(reading) for one in posted]


def _origin(drain: DrainCredentials) -> Origin:
    return Origin(drain.app, drain.environment)


def _key(drain: DrainCredentials, name: bytes) -> FrameKey:
    return FrameKey(drain.app_id, drain.id, hashlib.blake2b(name, digest_size=16).digest())


def _mismatch(declared: bytes | None, messages: int) -> bool:
    return declared is not None and declared != b"%d" % messages
