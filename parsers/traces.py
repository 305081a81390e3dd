"""The traces of a body: which of its lines may be of one, at next to no cost where there is none, and the events they make.

Few frames hold a trace, and each must be asked. So what is asked is bytes of the whole body (`_MARKERS`), and the last lines
of a frame, whose trace may stand in the next. Only the lines of a dyno that is suspected so are read, and folded.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from parsers import stack_traces, syslog
from parsers.columns import Columns
from parsers.event import Event, FieldValue, Severity
from parsers.kinds import is_of_the_app
from parsers.line import Origin
from parsers.multiline import NEAR, Fold, Growing, OpenTrace

# What a body has in it where a trace is, each behind a sign without which it need not be looked for: one byte is as good as
# free to find, and elsewhere a tab, a backtick or an apostrophe is no trace's.
_MARKERS = (
    (b"(", b"Traceback (most recent call last)"),
    (b"    at ", b"    at "),
    (b"[", b"goroutine "),
    (b"\t", b" \t"),
    (b"\t", b"\n\t"),
    (b"`", b":in `"),
    (b"'", b":in '"),
)


@dataclass(frozen=True, slots=True)
class Traces:
    """What a frame's lines say of traces, those that were open before and those that begin in it.

    `before` are the events of the open ones that were given, as they stand now, in their order, each with the place in its own
    frame; None for what is no trace so far. `still_open` are those among them that the next frame may go on with, None for
    those that have ended. `events` are the traces that begin in this frame and `open_traces` what is open of them: those that
    have begun for certain are among the events, as far as they go.
    """

    before: tuple[Event | None, ...]
    still_open: tuple[OpenTrace | None, ...]
    events: tuple[Event, ...]
    open_traces: tuple[OpenTrace, ...]


_NONE = Traces((), (), (), ())


def traces_in(
    columns: Columns,
    said: bytes,
    origin: Origin,
    received_at: datetime,
    before: Sequence[OpenTrace] = (),
) -> Traces:
    """The traces of a frame that was read into `columns`, behind frames at whose end those of `before` were open.
    `said` are the texts of its lines, joined; the router's may be left out."""
    folds = {(one.source, one.process): Fold(one) for one in before}
    first = _suspected(columns, said)
    if not first and not folds:
        return _NONE
    _read_all(columns, first, folds, received_at)
    given = [folds[one.source, one.process].traces[0] for one in before]
    earlier, is_open = set(given), {fold.open for fold in folds.values()}
    begun = [trace for fold in folds.values() for trace in fold.traces if trace not in earlier]
    return Traces(
        before=tuple(_event(trace, origin) for trace in given),
        still_open=tuple(trace.frozen() if trace in is_open else None for trace in given),
        events=tuple(event for trace in begun if (event := _event(trace, origin)) is not None),
        open_traces=tuple(trace.frozen() for trace in begun if trace in is_open),
    )


def _read_all(
    columns: Columns,
    first: Mapping[tuple[bytes, bytes], int],
    folds: dict[tuple[str, str], Fold],
    received_at: datetime,
) -> None:
    """Lets each dyno's fold read its lines: those of open traces all, others from their first suspected one on."""
    speakers = {
        speaker: (syslog.decode(speaker[0]), syslog.decode(speaker[1]))
        for speaker in set(zip(columns.sources, columns.processes, strict=True))
    }
    begins = {speaker: 0 if key in folds else first.get(speaker, -1) for speaker, key in speakers.items()}
    for place, speaker in enumerate(zip(columns.sources, columns.processes, strict=True)):
        if 0 <= begins[speaker] <= place:
            fold = folds.setdefault(speakers[speaker], Fold())
            fold.read(place, syslog.read_line(columns.message(place), received_at), received_at)
    for fold in folds.values():
        fold.end(len(columns.ends))


# -- which lines -----------------------------------------------------------------------------------------------------


def _suspected(columns: Columns, said: bytes) -> dict[tuple[bytes, bytes], int]:
    """The dynos in whose lines a trace may be, with the number of the first line that need be read: 0.1 µs a line."""
    found: dict[tuple[bytes, bytes], int] = {}
    body = columns.body
    for sign, marker in _MARKERS:
        if sign not in said:
            continue
        at = body.find(marker)
        while at >= 0:
            place = bisect_right(columns.ends, at)
            speaker = columns.sources[place], columns.processes[place]
            if _is_of_the_app(*speaker):
                found[speaker] = 0
            at = body.find(marker, columns.ends[place])
    sources, texts = columns.sources[-NEAR:], columns.texts[-NEAR:]
    last = b"\n".join([text for source, text in zip(sources, texts, strict=True) if source != b"heroku"])
    if any(head in last for head in stack_traces.HEADS):
        for place in range(len(columns.ends) - len(texts), len(columns.ends)):
            speaker = columns.sources[place], columns.processes[place]
            if any(head in columns.texts[place] for head in stack_traces.HEADS) and _is_of_the_app(*speaker):
                found.setdefault(speaker, place)
    return found


@lru_cache(maxsize=1024)
def _is_of_the_app(source: bytes, process: bytes) -> bool:
    return is_of_the_app(syslog.decode(source), syslog.decode(process))


# -- the events ------------------------------------------------------------------------------------------------------


def _event(trace: Growing, origin: Origin) -> Event | None:
    """The event of a trace, at its first line; None for a head alone."""
    said = stack_traces.read(trace.phase, trace.lines[: len(trace.lines) - trace.further])
    if said is None:
        return None
    fields: dict[str, FieldValue] = {"language": said.language, "exception": said.exception, "message": said.message}
    fields["frames"] = list(said.frames)
    if said.causes:
        fields["causes"] = list(said.causes)
    return Event(
        ts=trace.ts,
        received_at=trace.received_at,
        app=origin.app,
        environment=origin.environment,
        source=trace.source,
        process=trace.process,
        dyno=trace.process,
        kind="traceback",
        code=None,
        severity=Severity.ERROR,
        message=said.line,
        fields={**fields, "lines": len(trace.lines) - trace.further},
        place=trace.place,
    )
