"""What an event has from the lines beside it: the memory before an R14, the rest of a command.

    Process running mem=870M(170.1%)                       Starting process with command `/bin/sh -c 'if true
    Error R14 (Memory quota exceeded)                      then run
                                                           fi'` by user user@example.com

The lines of one command are messages of their own with one time; the event stands at the first of them. A frame may end
between such lines: OpenMemory and OpenCommand are what the app's next one may go on with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parsers.event import FieldValue
from parsers.kinds import release
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_MOST_LINES = 200  # of one command; Logplex brings them together


@dataclass(frozen=True, slots=True)
class OpenMemory:
    """The memory of a dyno, said at `ts`, whose R14 has not come; to be kept as JSON."""

    process: str
    ts: datetime
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """The fields of an event whose command goes on, after `lines` further lines; to be kept as JSON. `place` is the event's, in
    the frame in which it began; `ts` is its time."""

    place: int
    ts: datetime
    fields: Mapping[str, FieldValue]
    lines: int


@dataclass(slots=True)
class _Command:
    place: int
    ts: datetime
    fields: dict[str, FieldValue]
    lines: int = 0


class Beside:
    """The lines of a frame as they pass, in order. What it gives for an event may still grow while the frame is read."""

    def __init__(self, memory: Sequence[OpenMemory] = (), command: OpenCommand | None = None) -> None:
        """`memory` and `command` are what was open at the end of the frame before."""
        self._memory = {one.process: one for one in memory}
        self._before = _Command(command.place, command.ts, dict(command.fields), command.lines) if command else None
        self._command = self._before  # the one whose end has not come

    def fields(self, place: int, line: Line, meaning: Meaning) -> dict[str, FieldValue]:
        """The fields of the event at `place`, with what stands beside it."""
        fields = dict(meaning.fields)
        if "mem_mb" in fields:
            said = {"mem_mb": fields["mem_mb"], "mem_pct": fields["mem_pct"]}
            self._memory[line.process] = OpenMemory(line.process, line.ts, said)
        elif meaning.code in ("R14", "R15") and (memory := self._memory.pop(line.process, None)):
            fields |= memory.fields
        if meaning.kind == "release":
            self._command = _Command(place, line.ts, fields) if release.is_begun(line.text) else None
        return fields

    def line(self, line: Line) -> None:
        """A line that is no event: a command's next one, where one was begun."""
        command = self._command
        if command is None or line.process != "api":
            return
        text, actor = release.end_of_command(line.text)
        command.fields["command"] = f"{command.fields['command']}\n{text}"
        command.lines += 1
        if actor:
            command.fields["actor"] = actor
        if actor or command.lines >= _MOST_LINES:
            self._command = None

    @property
    def open_memory(self) -> tuple[OpenMemory, ...]:
        """What the next frame may go on with."""
        return tuple(self._memory.values())

    @property
    def open_command(self) -> OpenCommand | None:
        """The same of a command, be it this frame's or, as it now stands, the one that was open before."""
        command = self._command
        return OpenCommand(command.place, command.ts, command.fields, command.lines) if command else None

    @property
    def command_before(self) -> Mapping[str, FieldValue] | None:
        """The fields of the command that was open before, as they now stand."""
        return self._before.fields if self._before else None

    @property
    def goes_on(self) -> bool:
        """Whether the open command is the one that was open before."""
        return self._command is not None and self._command is self._before
