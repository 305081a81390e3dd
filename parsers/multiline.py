"""One happening from many lines: a dyno's stack trace, line by line, also across frames.

A trace's lines come one message each, between those of other dynos, and a frame may end anywhere in it. So lines are folded
dyno by dyno: an OpenTrace is what is known after some lines, and the next frame goes on from it. The fold sees nothing but
the lines and their order in the app's stream, so that any split of a body into frames gives the same traces. It is bounded
in lines, characters, and time between lines: a trace that never ends is ended.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from parsers import stack_traces
from parsers.line import Line

# Beyond these a trace ends where it stands. 500 lines are 250 calls of Python; Logplex brings the lines of one write within
# milliseconds.
MOST_LINES, MOST_CHARACTERS, GAP = 500, 64 << 10, timedelta(seconds=2)
# Lines on end without a trace's form that may be further lines of a message, or another process's in the same dyno.
FURTHER = 8
# Messages of the app after which a head without a frame is no trace's: so many at a frame's end are looked at.
NEAR = 16

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What a logger puts before each line of a trace: time, level, process, request, each with one space behind it, so that
# the trace's own indent stays.
_LOGGED = re.compile(
    r"(?:[A-Z], )?(?:\[[^\]]{1,80}\] ?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16} (?:[+-]\d{4} )?"
    r"|(?:pid|tid|jid|class)=\S{1,60} |(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL):? {1,2}(?:-- : )?){1,8}"
)
_PREFIXED = re.compile(r"\[[^\]]{1,80}\] |\d{4}-\d\d-\d\d|[A-Z], \[")


@dataclass(frozen=True, slots=True)
class OpenTrace:
    """A trace, or a line that may begin one, after the lines so far; of plain values, to be kept as JSON.

    `ts`, `received_at` and `place` are its first line's, the place within the frame in which it began; `last_at` is the time of
    its newest line. The last `further` of `lines` may be none of its own. `passed` messages of the app have come from its first
    line on, with that.
    """

    source: str
    process: str
    ts: datetime
    received_at: datetime
    place: int
    last_at: datetime
    phase: str
    lines: tuple[str, ...]
    further: int
    size: int
    passed: int


@dataclass(slots=True, eq=False)
class Growing:
    """An OpenTrace while its frame is read. `passed` counts up to the frame's first message: for a trace that begins in the
    frame it is minus `place`."""

    source: str
    process: str
    ts: datetime
    received_at: datetime
    place: int
    last_at: datetime
    phase: str
    lines: list[str]
    further: int
    size: int
    passed: int

    def frozen(self) -> OpenTrace:
        return OpenTrace(**{**_fields_of(self), "lines": tuple(self.lines)})


class Fold:
    """The lines of one dyno, in order, into traces: those that begin, behind the one that was open before."""

    def __init__(self, before: OpenTrace | None = None) -> None:
        self.traces = [] if before is None else [Growing(**{**_fields_of(before), "lines": list(before.lines)})]
        self.open: Growing | None = self.traces[0] if before else None

    def read(self, place: int, line: Line, received_at: datetime) -> None:
        """One more message; it may hold several lines."""
        if inner := _within(line.text):
            self._begin(place, line, received_at, *inner)
            return
        for text in line.text.split("\n"):
            self._read(place, line, bare(text), received_at)

    def end(self, messages: int) -> None:
        """The frame ends, after so many messages."""
        if self.open:
            self.open.passed += messages
            if self.open.phase.endswith("?") and self.open.passed > NEAR:
                self.open = None

    def _read(self, place: int, line: Line, text: str, received_at: datetime) -> None:
        if (trace := self.open) and _is_over(trace, place, line.ts, text):
            trace = self.open = None
        if trace and (phase := stack_traces.step(trace.phase, text)):
            trace.phase, trace.further = phase, 0
        elif phase := stack_traces.begin(text):
            self.open = self._begin(place, line, received_at, phase, [])
            trace = self.open
        elif trace and trace.further < FURTHER:
            trace.further += 1
        else:
            self.open = None
            return
        trace.lines.append(text)
        trace.size += len(text)
        trace.last_at = line.ts

    def _begin(self, place: int, line: Line, received_at: datetime, phase: str, lines: list[str]) -> Growing:
        trace = Growing(
            line.source,
            line.process,
            line.ts,
            received_at,
            place,
            line.ts,
            phase,
            lines,
            further=0,
            size=0,
            passed=-place,
        )
        self.traces.append(trace)
        return trace


def _is_over(trace: Growing, place: int, ts: datetime, text: str) -> bool:
    """Whether a line can no longer be the trace's, whatever it says."""
    return (
        abs(ts - trace.last_at) > GAP
        or len(trace.lines) >= MOST_LINES
        or trace.size + len(text) > MOST_CHARACTERS
        or (trace.phase.endswith("?") and trace.passed + place > NEAR)
    )


def _fields_of(trace: OpenTrace | Growing) -> dict[str, Any]:
    return {name: getattr(trace, name) for name in OpenTrace.__slots__}


# -- a line ----------------------------------------------------------------------------------------------------------


def bare(text: str) -> str:
    """A line without colours and without what a logger puts before it."""
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    if _PREFIXED.match(text) and (before := _LOGGED.match(text)):
        return text[before.end() :]
    return text


def _within(text: str) -> tuple[str, list[str]] | None:
    """The trace that a line of JSON has as a value (`{"err": {"stack": "Error: x\\n    at …"}}`): its last phase, its lines."""
    if not text.startswith("{") or not ("Traceback (most" in text or "    at " in text):
        return None
    try:
        values = list(_texts(json.loads(text), depth=4))
    except (ValueError, RecursionError):
        return None
    for value in values:
        lines = value.encode("utf-8", "replace").decode().replace("\0", "\ufffd").split("\n")[:MOST_LINES]
        phase = stack_traces.begin(lines[0])
        for line in lines[1:] if phase else ():
            phase = stack_traces.step(phase or "", line) or phase
        if phase and not phase.endswith("?"):
            return phase, lines
    return None


def _texts(value: object, *, depth: int) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield value
    elif isinstance(value, dict) and depth:
        for inner in value.values():
            yield from _texts(inner, depth=depth - 1)
