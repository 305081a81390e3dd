"""The lines of some chunks that are wanted, found without reading most of them.

A filter says what must occur (`parsers/filters/literals.py`), and a chunk in whose bytes that does not occur is put aside
unread: decompressing it and looking takes 0.9 µs a KiB of lines, in threads, since zstd and `byte_search.py` let go of the
interpreter; lowering it, where it must be, another 0.4; reading and asking each line takes 100. What is left is split into
its parts, and only lines in which it occurs are read. A scan ends when its time is over and says where: nobody's search
keeps the others waiting.
"""

import asyncio
import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

import zstandard

from parsers.filters import Node, predicate
from parsers.filters.literals import Requirement, must_occur
from parsers.filters.tree import Everything
from parsers.frame import read_some
from parsers.line import Line, Origin
from parsers.line_event import dyno_of, is_read_for, line_event
from service.store.apps import App
from service.store.byte_search import occurs
from service.store.chunk_walk import Chunk, Piece
from service.store.parts import PartKey

# Decompressing and reading more than this at once would keep other requests waiting, so it is done in a thread.
_LARGE = 64 << 10
# The parts of several apps' merged chunks come by turns; a merged chunk is half a MiB.
_UNPACKED_AT_ONCE = 16
_NO_LETTERS = re.compile(rb"[^A-Za-z]{3,}")
_THREADS = 2  # more would keep other requests from the processors


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a line is kept: its chunk, and its number there from 0. Places of one app sort by arrival."""

    received_at: datetime
    chunk_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line as it is kept. `ts` is its own time, or that of receipt where its own cannot be read; `dyno` whom it is about,
    if anyone: its process, or the one that a router line names."""

    place: Place
    app: str
    environment: str
    ts: datetime
    source: str
    process: str
    dyno: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """Lines from the place `since` on (None: from the first), before the place `until` (None: to the last)."""

    since: Place | None
    until: Place | None

    @property
    def parts(self) -> tuple[PartKey | None, PartKey | None]:
        """The first and the last part in which there may be some of them."""
        first = (self.since.received_at, self.since.chunk_id) if self.since else None
        return first, (self.until.received_at, self.until.chunk_id) if self.until else None

    def holds(self, place: Place) -> bool:
        """Whether the line there is one of them."""
        return (self.since is None or place >= self.since) and (self.until is None or place < self.until)


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which lines are wanted: those that `keep` and `fits` (by app and time of receipt) say yes to; `requirements` are what
    must occur in the bytes of such a line, lowered, and `anchors` in them as they are."""

    keep: Callable[[KeptLine], bool]
    fits: Callable[[Line, App, datetime], bool] | None = None
    requirements: tuple[Requirement, ...] = ()
    anchors: tuple[bytes, ...] = ()

    def holds(self, message: bytes) -> bool:
        """Whether all that must occur does."""
        if not self.requirements:
            return True
        if not all(occurs(anchor, message) for anchor in self.anchors):
            return False
        lowered = message.lower()
        return all(any(occurs(one, lowered) for one in alternatives) for alternatives in self.requirements)


def sieve(node: Node, keep: Callable[[KeptLine], bool]) -> Sieve:
    """Lines that `keep` keeps and that are in the filter."""
    if isinstance(node, Everything):
        return Sieve(keep)
    is_in, read = predicate(node), is_read_for(node)

    def fits(line: Line, app: App, received_at: datetime) -> bool:
        return is_in(line_event(line, Origin(app.name, app.environment), received_at=received_at, read=read))

    requirements = must_occur(node)
    return Sieve(keep, fits, requirements, _anchors(requirements))


def _anchors(requirements: Iterable[Requirement]) -> tuple[bytes, ...]:
    """What of the requirements is no letter, and so is found without lowering anything, which holds the interpreter."""
    alone = [alternatives[0] for alternatives in requirements if len(alternatives) == 1]
    return tuple(max(found, key=len) for one in alone if (found := _NO_LETTERS.findall(one)))


@dataclass(frozen=True, slots=True)
class Scanned:
    """The lines that were found, and the part before which the scan ended because its time was over; None: it did not."""

    lines: list[KeptLine]
    ended: PartKey | None = None


async def scan(
    found: Sequence[Chunk],
    known: Mapping[int, App],
    span: Span,
    wanted: Sieve,
    most: int,
    *,
    newest_first: bool,
    until: float = float("inf"),
) -> Scanned:
    """The first `most` lines of the chunks that `span` holds and that are wanted, in one order or the other; what was found up
    to the moment `until` (monotonic seconds), but of one part at least."""
    if wanted.requirements:
        found = await _with_what_must_occur(found, wanted)
    asked = (found, known, span, wanted, most, newest_first, until)
    return await asyncio.to_thread(_scan, *asked) if sum(chunk.size for chunk in found) > _LARGE else _scan(*asked)


async def _with_what_must_occur(found: Sequence[Chunk], wanted: Sieve) -> Sequence[Chunk]:
    shares = [found[n::_THREADS] for n in range(_THREADS)] if sum(one.size for one in found) > _LARGE else [found]

    def sift(share: Sequence[Chunk]) -> set[UUID]:
        unpack = zstandard.ZstdDecompressor()
        return {one.id for one in share if wanted.holds(unpack.decompress(one.body, max_output_size=one.size))}

    if len(shares) == 1:
        left = sift(found)
    else:
        left = set().union(*await asyncio.gather(*(asyncio.to_thread(sift, share) for share in shares)))
    return [one for one in found if one.id in left]


def _scan(
    found: Sequence[Chunk],
    known: Mapping[int, App],
    span: Span,
    wanted: Sieve,
    most: int,
    newest_first: bool,
    until: float,
) -> Scanned:
    first, last = span.parts
    each = [chunk.pieces(first, last, newest_first=newest_first) for chunk in found]
    bodies: dict[UUID, bytes] = {}
    lines: list[KeptLine] = []
    begun = False
    for piece in heapq.merge(*each, key=lambda piece: piece.part.key, reverse=newest_first):
        if begun and monotonic() > until:
            return Scanned(lines, piece.part.key)
        begun = True
        of_part = _lines_of(piece, _body_of(piece, bodies), known[piece.chunk.app_id], span, wanted)
        for line in reversed(of_part) if newest_first else of_part:
            lines.append(line)
            if len(lines) == most:
                return Scanned(lines)
    return Scanned(lines)


def _body_of(piece: Piece, bodies: dict[UUID, bytes]) -> bytes:
    """The bytes of one part; `bodies` are those that are unpacked."""
    chunk = piece.chunk
    body = bodies.get(chunk.id)
    if body is None:
        body = zstandard.ZstdDecompressor().decompress(chunk.body, max_output_size=chunk.size)
        if len(bodies) == _UNPACKED_AT_ONCE:
            bodies.clear()
        bodies[chunk.id] = body
    return body[piece.begin : piece.begin + piece.part.size]


def _lines_of(piece: Piece, body: bytes, app: App, span: Span, wanted: Sieve) -> list[KeptLine]:
    part = piece.part
    if wanted.requirements and not wanted.holds(body):
        return []
    kept = []
    for number, line in read_some(body, part.received_at, wanted.holds):
        place = Place(part.received_at, part.id, number)
        if not span.holds(place):
            continue
        one = KeptLine(place, app.name, app.environment, line.ts, line.source, line.process, dyno_of(line), line.text)
        if wanted.keep(one) and (wanted.fits is None or wanted.fits(line, app, part.received_at)):
            kept.append(one)
    return kept
