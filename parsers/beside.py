"""What an event has from the lines beside it in its frame: the memory before an R14, the rest of a command.

    Process running mem=870M(170.1%)                       Starting process with command `/bin/sh -c 'if true
    Error R14 (Memory quota exceeded)                      then run
                                                           fi'` by user user@example.com

The lines of one command are messages of their own with one time; the event stands at the first of them.
"""

from parsers.event import FieldValue
from parsers.kinds import release
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_MOST_LINES = 200  # of one command; Logplex brings them together


class Beside:
    """The lines of a frame as they pass, in order. What it gives for an event may still grow while the frame is read."""

    def __init__(self) -> None:
        self._memory: dict[str, dict[str, FieldValue]] = {}  # of a dyno
        self._command: dict[str, FieldValue] | None = None  # the fields of the one whose end has not come
        self._lines = 0

    def fields(self, line: Line, meaning: Meaning) -> dict[str, FieldValue]:
        """The fields of an event, with what stands beside it."""
        fields = dict(meaning.fields)
        if "mem_mb" in fields:
            self._memory[line.process] = {"mem_mb": fields["mem_mb"], "mem_pct": fields["mem_pct"]}
        elif meaning.code in ("R14", "R15"):
            fields |= self._memory.pop(line.process, {})
        if meaning.kind == "release":
            self._command = fields if release.is_begun(line.text) else None
            self._lines = 0
        return fields

    def line(self, line: Line) -> None:
        """A line that is no event: a command's next one, where one was begun."""
        if self._command is None or line.process != "api":
            return
        text, actor = release.end_of_command(line.text)
        self._command["command"] = f"{self._command['command']}\n{text}"
        self._lines += 1
        if actor:
            self._command["actor"] = actor
        if actor or self._lines >= _MOST_LINES:
            self._command = None
