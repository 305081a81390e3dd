"""One frame: the body of a POST → its lines' times and processes, its events, its damage. The pure half on one screen.

Hard about it: nearly every line is plain, and a plain line must cost next to nothing. So a body is read by columns: one
pass finds the messages, each is split into header fields, and what a frame says of its lines as a whole comes from the
columns at C's speed. A line is read on its own only where a marker (` code=`, an event's name) or its process says that
it may mean something. On the usual mix (tests/bench/parse.py) that is 2.5 µs a line: framing and headers 0.7, looking for
secrets 0.6, for markers 0.4, times 0.2, reading the one line in a hundred that is an event 0.3. Reading and masking each
line on its own takes 18.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from parsers import syslog
from parsers.event import Event, FieldValue
from parsers.kinds import named, readers_of, router
from parsers.kinds.logplex_error import is_overflow_notice
from parsers.kinds.meaning import Meaning
from parsers.kinds.named import EventTable
from parsers.line import Line, Origin
from parsers.octet_counting import Damage, octet_counted, split_messages, whole_messages
from parsers.redact import Redaction

# A router line without one of these is a request that went well, but for the form of before 2013.
_ROUTER_MARKERS = (b" code=", b" status=5")
_OLD_ROUTER_MARKER = b"Error H"


@dataclass(frozen=True, slots=True)
class Reading:
    """What configuration adds to the reading of frames; made once, at the start.

    `tables` in the order they are tried; `watched_paths` are paths without a query, for every app and per app's name.
    """

    tables: tuple[EventTable, ...] = ()
    watched_paths: frozenset[str] = frozenset()
    app_watched_paths: Mapping[str, frozenset[str]] = field(default_factory=dict)
    redaction: Redaction = field(default_factory=Redaction)
    names: tuple[bytes, ...] = field(init=False, repr=False)  # what an app's line with a named event has in it

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple({table.literal.encode(): None for table in self.tables}))

    def watched(self, app: str) -> frozenset[str]:
        """The watched paths of an app."""
        return self.watched_paths | self.app_watched_paths.get(app, frozenset())


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame says.

    `body` are the good messages, octet-counted as they came (the very object where nothing was mended or masked), and
    `messages` their number. `head` is how many bytes of it are a line that Logplex itself put first, to say what it
    dropped. `first_at` and `last_at` span the lines' own times, `newest_at` is the newest time at which one counts: its own,
    or its receipt if that was earlier. All three are the time of receipt where there is no line. `processes` are the
    PROCIDs that speak; an event's `place` is its message's number.
    """

    body: bytes
    messages: int
    head: int
    first_at: datetime
    last_at: datetime
    newest_at: datetime
    processes: frozenset[str]
    events: tuple[Event, ...]
    damage: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The messages of a body in which each can be read, where each ends in it, and their header fields, one column each."""

    messages: Sequence[bytes]
    ends: Sequence[int]
    stamps: Sequence[bytes] = ()
    sources: Sequence[bytes] = ()
    processes: Sequence[bytes] = ()
    texts: Sequence[bytes] = ()


def read_frame(body: bytes, origin: Origin, received_at: datetime, reading: Reading) -> Frame:
    """The frame that a POST's body is. Linear in its length; raises nothing, whatever stands in it."""
    damage: tuple[Damage, ...] = ()
    columns = _columns(body)
    if columns is None:
        body, damage = _set_apart(body, reading.redaction)
        columns = _columns(body) or _NO_COLUMNS
    said = _said(columns, whole=reading.redaction.fwd)
    if reading.redaction.suspects(said):
        messages = reading.redaction.masked_messages(columns.processes, columns.messages)
        if messages != columns.messages:
            body = b"".join(octet_counted(message) for message in messages)
            columns = _columns(body) or _NO_COLUMNS
    places = _places(body, columns, _markers(said, reading, origin))
    lines = ((place, syslog.read_line(columns.messages[place], received_at)) for place in places)
    first_at, last_at = syslog.span_of(columns.stamps, received_at)
    notice = bool(columns.messages) and columns.processes[0] == b"logplex" and is_overflow_notice(columns.texts[0])
    return Frame(
        body=body,
        messages=len(columns.messages),
        head=columns.ends[0] if notice else 0,
        first_at=first_at,
        last_at=last_at,
        newest_at=min(last_at, received_at),
        processes=frozenset(syslog.decode(process) for process in set(columns.processes)),
        events=tuple(_events(lines, origin, received_at, reading)),
        damage=damage,
    )


def read_lines(body: bytes, received_at: datetime) -> Iterator[Line]:
    """The lines of a stored body, in order; `received_at` stands in for a time that cannot be read."""
    columns = _columns(body)
    if columns is None:
        columns = _columns(_set_apart(body, Redaction(credentials=False, query_names=()))[0]) or _NO_COLUMNS
    return (syslog.read_line(message, received_at) for message in columns.messages)


# -- the columns -----------------------------------------------------------------------------------------------------

_NO_COLUMNS = _Columns((), ())


def _columns(body: bytes) -> _Columns | None:
    """The columns of a body; None where an octet count does not hold or a header cannot be read.

    0.7 µs a line. Splitting at most six times leaves the text in one piece; `zip` turns a hundred lists of seven round.
    """
    whole = whole_messages(body)
    if whole is None:
        return None
    messages, ends = whole
    if not messages:
        return _NO_COLUMNS
    heads = [message.split(b" ", 6) for message in messages]
    try:
        priorities, stamps, _, sources, processes, _, texts = zip(*heads, strict=True)
    except ValueError:  # some line has no text and no space before it; with fewer than six fields it has no header
        if min(map(len, heads)) < 6:
            return None
        priorities, stamps, _, sources, processes, _, texts = zip(*[(*head, b"")[:7] for head in heads], strict=True)
    odd = set(priorities) - syslog.PRIORITIES
    if odd and not all(map(syslog.has_priority, odd)):
        return None
    return _Columns(messages, ends, stamps, sources, processes, texts)


def _set_apart(body: bytes, redaction: Redaction) -> tuple[bytes, tuple[Damage, ...]]:
    """The messages of a body that can be read, octet-counted, and the rest of it, masked; neighbouring damage is one."""
    good: list[bytes] = []
    bad: list[tuple[int, int, str]] = []
    for piece in split_messages(body):
        if isinstance(piece, Damage):
            at, end, reason = piece.at, piece.at + len(piece.body), piece.reason
        elif why := syslog.why_unreadable(piece.body):
            at, end, reason = piece.at, piece.end, why
        else:
            good.append(piece.counted)
            continue
        if bad and bad[-1][1] == at:
            at, _, reason = bad.pop()
        bad.append((at, end, reason))
    masked = redaction.masked  # a reason quotes what it found
    return b"".join(good), tuple(
        Damage(at, masked(body[at:end]), masked(reason.encode()).decode()) for at, end, reason in bad
    )


def _said(columns: _Columns, *, whole: bool) -> bytes:
    """What programs and people wrote in a frame, joined: the texts, but of router lines only what stands up to the path.

    Behind it a router line has nothing that could be a credential, so that two thirds of it need no looking at.
    """
    if whole:
        return b"\n".join(columns.texts)
    lines = zip(columns.processes, columns.texts, strict=True)
    return b"\n".join(
        [text.rpartition(b'" host=')[0] or text if process == b"router" else text for process, text in lines]
    )


# -- the events ------------------------------------------------------------------------------------------------------


def _events(
    lines: Iterable[tuple[int, Line]], origin: Origin, received_at: datetime, reading: Reading
) -> Iterator[Event]:
    """The events among some lines, each with its number, in their order.

    `Process running mem=870M(170.1%)` comes before the R14 or R15 that it explains, so its numbers go to that one too.
    """
    watched = reading.watched(origin.app)
    memory: dict[str, Mapping[str, FieldValue]] = {}
    for place, line in lines:
        meaning = _meaning(line, origin, reading, watched)
        if meaning is None:
            continue
        fields = meaning.fields
        if "mem_mb" in fields:
            memory[line.process] = {"mem_mb": fields["mem_mb"], "mem_pct": fields["mem_pct"]}
        elif meaning.code in ("R14", "R15"):
            fields = {**fields, **memory.pop(line.process, {})}
        yield Event(
            ts=line.ts,
            received_at=received_at,
            app=origin.app,
            environment=origin.environment,
            source=line.source,
            process=line.process,
            dyno=meaning.dyno,
            kind=meaning.kind,
            code=meaning.code,
            severity=meaning.severity,
            message=line.text,
            fields=fields,
            flags=meaning.flags,
            place=place,
        )


def _markers(said: bytes, reading: Reading, origin: Origin) -> tuple[bytes, ...]:
    """What a line has in it that may mean something, without what is in none of this frame's."""
    rare = (_OLD_ROUTER_MARKER, *reading.names, *(path.encode() for path in reading.watched(origin.app)))
    return (*_ROUTER_MARKERS, *(marker for marker in rare if marker in said))


def _places(body: bytes, columns: _Columns, markers: Sequence[bytes]) -> list[int]:
    """The numbers of the lines that may mean something: with a marker in them, or of a process of the platform's own."""
    places: set[int] = set()
    for marker in markers:
        at = body.find(marker)
        while 0 <= at < len(body):
            place = bisect_right(columns.ends, at)
            places.add(place)
            at = body.find(marker, columns.ends[place])
    speakers = set(zip(columns.sources, columns.processes, strict=True))
    platform = {speaker for speaker in speakers if _is_platform(*speaker)}
    if platform:
        lines = enumerate(zip(columns.sources, columns.processes, strict=True))
        # `source=web.1 … sample#memory_total=…` comes from every dyno every 20 s and tells no event of these kinds.
        places.update(at for at, line in lines if line in platform and not columns.texts[at].startswith(b"source="))
    return sorted(places)


@lru_cache(maxsize=1024)
def _is_platform(source: bytes, process: bytes) -> bool:
    """Whether each line of this process is to be read; of the router's, only those with a marker."""
    return process != b"router" and bool(readers_of(syslog.decode(source), syslog.decode(process)))


def _meaning(line: Line, origin: Origin, reading: Reading, watched: frozenset[str]) -> Meaning | None:
    readers = readers_of(line.source, line.process)
    for read in readers:
        if meaning := read(line):
            return meaning
    if watched and router.read in readers:
        return router.read_watched(line, watched)
    if not readers and line.source != "heroku":
        return named.read(line, reading.tables, origin.environment)
    return None
