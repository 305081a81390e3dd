"""One frame: the body of a POST → its lines' times and processes, its events, its damage. The pure half on one screen.

Hard about it: nearly every line is plain, and a plain line must cost next to nothing. So a body is read by columns: one
pass finds the messages, each is split into header fields, and what a frame says of its lines as a whole comes from the
columns at C's speed. A line is read on its own only where it has a marker (an event's name, a status of 5xx) or its process
says that it may mean something. On the usual mix (tests/bench/parse.py) that is 2.2 µs a line: framing and headers 0.5, the
numbers of router lines 0.35, looking for secrets 0.3, for markers, traces and times 0.2, reading the one line in a hundred
that is an event 0.15. Reading and masking each line on its own takes 12.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import compress, pairwise
from operator import not_

from parsers import syslog
from parsers.beside import Beside, OpenCommand, OpenMemory
from parsers.columns import (
    NO_COLUMNS,
    Columns,
    Speaker,
    are_requests,
    read_columns,
    requests_of,
    set_apart,
    speakers_of,
    what_is_asked,
)
from parsers.event import Event, FieldValue
from parsers.kinds import is_of_the_app, named, readers_of, router
from parsers.kinds.logplex_error import is_overflow_notice
from parsers.kinds.meaning import Meaning
from parsers.kinds.named import EventTable
from parsers.line import Line, Origin
from parsers.multiline import OpenTrace
from parsers.octet_counting import Damage, octet_counted
from parsers.redact import Redaction
from parsers.traces import Traces, traces_in
from parsers.traffic import Sifted, sift


@dataclass(frozen=True, slots=True)
class Reading:
    """What configuration adds to the reading of frames; made once, at the start.

    `tables` in the order they are tried; `watched_paths` are paths without a query, for every app and per app's name;
    requests whose paths end in one of `telling_paths` are events too, however they went.
    """

    tables: tuple[EventTable, ...] = ()
    watched_paths: frozenset[str] = frozenset()
    app_watched_paths: Mapping[str, frozenset[str]] = field(default_factory=dict)
    telling_paths: tuple[str, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)
    names: tuple[bytes, ...] = field(init=False, repr=False)  # what an app's line with a named event has in it

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple({table.literal.encode(): None for table in self.tables}))

    def watched(self, app: str) -> frozenset[str]:
        """The watched paths of an app."""
        return self.watched_paths | self.app_watched_paths.get(app, frozenset())


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a frame ends within and the app's next one may go on with: traces, a dyno's memory before its R14, a command."""

    traces: tuple[OpenTrace, ...] = ()
    memory: tuple[OpenMemory, ...] = ()
    command: OpenCommand | None = None


NOTHING = Unfinished()


@dataclass(frozen=True, slots=True)
class Continued:
    """What a frame has made of an Unfinished: `traces` are the events of its traces as they now stand, None for what is no
    trace so far, `open_traces` those that still go on, else None; both in its order. `command` are the fields of its command,
    and `open_command` that command, if it still goes on."""

    traces: tuple[Event | None, ...]
    open_traces: tuple[OpenTrace | None, ...]
    command: Mapping[str, FieldValue] | None
    open_command: OpenCommand | None


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame says.

    `body` are the good messages, octet-counted as they came (the very object where nothing was mended or masked), and
    `messages` their number. `head` is how many bytes of it are a line that Logplex itself put first, to say what it
    dropped. `first_at` and `last_at` span the lines' own times, `newest_at` is the newest time at which one counts: its own,
    or its receipt if that was earlier. All three are the time of receipt where there is no line. `processes` are the
    PROCIDs that speak; an event's `place` is its message's number. `unfinished` is what began in it and may go on in the app's
    next frame, None for nearly every frame; what of it is an event already is among the events, as far as it goes.
    `continued` is what became of the Unfinished that was given.
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
    unfinished: Unfinished | None = None
    continued: Continued | None = None
    traffic: tuple[Sifted, ...] = ()


def read_frame(
    body: bytes, origin: Origin, received_at: datetime, reading: Reading, before: Unfinished = NOTHING
) -> Frame:
    """The frame that a POST's body is. Linear in its length; raises nothing, whatever stands in it.

    `before` is what the app's frame before it has ended within; also a chunk's body may be read so, as one frame.
    """
    damage: tuple[Damage, ...] = ()
    columns = read_columns(body)
    if columns is None:
        body, damage = set_apart(body, reading.redaction)
        columns = read_columns(body) or NO_COLUMNS
    return _frame(columns, damage, origin, received_at, reading, before)


def read_together(
    bodies: Sequence[bytes], origin: Origin, received_at: datetime, reading: Reading
) -> tuple[Frame, list[int]] | None:
    """The bodies of several POSTs of one app, none of them empty, read as one frame, and how many messages each of them has.

    None where one must be read alone: it has damage, or in front a line that Logplex has put there for its frame alone. A
    frame costs 40 µs whatever is in it, as much as twelve lines.
    """
    columns = read_columns(b"".join(bodies))
    if columns is None:
        return None
    places, at = [0], 0
    for body in bodies:
        at += len(body)
        place = bisect_left(columns.ends, at)
        if columns.ends[place : place + 1] != [at] or columns.processes[places[-1]] == b"logplex":
            return None
        places.append(place + 1)
    frame = _frame(columns, (), origin, received_at, reading, NOTHING)
    return frame, [end - begin for begin, end in pairwise(places)]


def _frame(
    columns: Columns,
    damage: tuple[Damage, ...],
    origin: Origin,
    received_at: datetime,
    reading: Reading,
    before: Unfinished,
) -> Frame:
    speakers = speakers_of(columns)
    is_request = are_requests(columns, speakers)
    requests = requests_of(columns, is_request)
    asked = what_is_asked(requests.texts, whole=reading.redaction.fwd)
    said = b"\n".join(compress(columns.texts, map(not_, is_request)))
    if reading.redaction.suspects(b"\n".join((asked, said))):
        messages = list(columns.messages())
        masked = reading.redaction.masked_messages(columns.processes, messages)
        if masked != messages:
            columns = read_columns(b"".join(octet_counted(message) for message in masked)) or NO_COLUMNS
            requests = requests_of(columns, is_request)
    places = _places(columns, speakers, _markers(asked, said, reading, origin))
    if to_read := requests.to_read():
        of_requests = list(compress(range(len(is_request)), is_request))
        places = sorted({*places, *(of_requests[place] for place in to_read)})
    lines = ((place, syslog.read_line(columns.message(place), received_at)) for place in places)
    beside = Beside(before.memory, before.command)
    events = list(_events(lines, beside, origin, received_at, reading))
    traces = traces_in(columns, said, origin, received_at, before.traces)
    if traces.events:
        events = sorted([*events, *traces.events], key=lambda event: event.place)
    first_at, last_at = syslog.span_of(columns.stamps, received_at)
    notice = bool(columns.ends) and columns.processes[0] == b"logplex" and is_overflow_notice(columns.texts[0])
    return Frame(
        body=columns.body,
        messages=len(columns.ends),
        head=columns.ends[0] if notice else 0,
        first_at=first_at,
        last_at=last_at,
        newest_at=min(last_at, received_at),
        processes=frozenset([syslog.decode(process) for _, process in speakers]),
        events=tuple(events),
        damage=damage,
        unfinished=_unfinished(traces, beside),
        continued=_continued(traces, beside) if before is not NOTHING else None,
        traffic=sift(columns, requests, (first_at, last_at), received_at),
    )


def traffic_of(body: bytes, received_at: datetime) -> tuple[Sifted, ...]:
    """What the lines of a stored body add to which minutes."""
    columns = read_columns(body) or NO_COLUMNS
    requests = requests_of(columns, are_requests(columns, speakers_of(columns)))
    return sift(columns, requests, syslog.span_of(columns.stamps, received_at), received_at)


def read_lines(body: bytes, received_at: datetime) -> Iterator[Line]:
    """The lines of a stored body, in order; `received_at` stands in for a time that cannot be read."""
    return (line for _, line in read_some(body, received_at, lambda _: True))


def read_some(body: bytes, received_at: datetime, holds: Callable[[bytes], bool]) -> Iterator[tuple[int, Line]]:
    """Those lines of a stored body whose messages `holds` says yes to, each with its number in it; the others are not read."""
    columns = read_columns(body)
    if columns is None:
        columns = read_columns(set_apart(body, Redaction(credentials=False, query_names=()))[0]) or NO_COLUMNS
    messages = enumerate(columns.messages())
    return ((number, syslog.read_line(message, received_at)) for number, message in messages if holds(message))


# -- the events ------------------------------------------------------------------------------------------------------


def _events(
    lines: Iterable[tuple[int, Line]], beside: Beside, origin: Origin, received_at: datetime, reading: Reading
) -> Iterator[Event]:
    """The events among some lines, each with its number, in their order."""
    watched = reading.watched(origin.app)
    for place, line in lines:
        meaning = _meaning(line, origin, reading, watched)
        if meaning is None:
            beside.line(line)
            continue
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
            fields=beside.fields(place, line, meaning),
            flags=meaning.flags,
            place=place,
        )


def _unfinished(traces: Traces, beside: Beside) -> Unfinished | None:
    memory, command = beside.open_memory, None if beside.goes_on else beside.open_command
    if not traces.open_traces and not memory and command is None:
        return None
    return Unfinished(traces.open_traces, memory, command)


def _continued(traces: Traces, beside: Beside) -> Continued:
    still = beside.open_command if beside.goes_on else None
    return Continued(traces.before, traces.still_open, beside.command_before, still)


def _markers(requests: bytes, said: bytes, reading: Reading, origin: Origin) -> tuple[bytes, ...]:
    """What a line has in it that may mean something, without what is in none of this frame's."""
    paths = (*reading.watched(origin.app), *reading.telling_paths)
    return (
        *(path for path in (path.encode() for path in paths) if path in requests),
        *(name for name in reading.names if name in said),
    )


def _places(columns: Columns, speakers: frozenset[Speaker], markers: Sequence[bytes]) -> list[int]:
    """The numbers of the lines that may mean something: with a marker in them, or of a process of the platform's own."""
    places: set[int] = set()
    body = columns.body
    for marker in markers:
        at = body.find(marker)
        while 0 <= at < len(body):
            place = bisect_right(columns.ends, at)
            places.add(place)
            at = body.find(marker, columns.ends[place])
    platform = {speaker for speaker in speakers if _is_platform(*speaker)}
    if platform:
        lines = enumerate(zip(columns.sources, columns.processes, strict=True))
        places.update(at for at, line in lines if line in platform)
    return sorted(places)


@lru_cache(maxsize=1024)
def _is_platform(source: bytes, process: bytes) -> bool:
    """Whether each line of this process is to be read; of the router's, only those with a marker."""
    return process != b"router" and bool(readers_of(syslog.decode(source), syslog.decode(process)))


def _meaning(line: Line, origin: Origin, reading: Reading, watched: frozenset[str]) -> Meaning | None:
    readers = readers_of(line.source, line.process)
    for read in readers:
        if meaning := read(line):
            return router.marked(meaning, watched) if watched and read is router.read else meaning
    if router.read in readers and (watched or reading.telling_paths):
        return router.read_watched(line, watched, reading.telling_paths)
    if is_of_the_app(line.source, line.process):
        return named.read(line, reading.tables, origin.environment)
    return None
