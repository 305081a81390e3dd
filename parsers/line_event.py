"""A line as an event, whatever it says: so that the filter language asks lines and events alike.

A line that means something has its event's kind, code, severity and fields. Any other is of kind `line` and, without a level
word, `info`; its fields are the router's pairs with their types, or the `key=value` pairs and JSON members of an app's line.
"""

import re
from datetime import datetime

from parsers.app_line import read_app_line
from parsers.event import Event, Severity
from parsers.filters import Node
from parsers.filters.tree import And, Everything, Not, Or, Text, TextGlob
from parsers.kinds import readers_of, router
from parsers.kinds.meaning import Meaning
from parsers.line import Line, Origin

KIND = "line"
# What stands in a line's header, or can be told from where it came: it need not be read for these.
_OF_THE_HEADER = frozenset(
    {"id", "app", "environment", "source", "process", "process_type", "dyno", "message", "ts", "received_at"}
)
_DYNO = re.compile(r"(?!postgres\.)[A-Za-z0-9_-]+\.[0-9]+")
_PLAIN = Meaning(KIND, Severity.INFO)


def line_event(line: Line, origin: Origin, *, received_at: datetime, read: bool = True) -> Event:
    """`line` as an event. Without `read` its kind, code, severity and fields are those of a line that says nothing. The flags
    and kinds that a user's tables give stand with the events alone."""
    meaning = _meaning(line) if read else _PLAIN
    return Event(
        ts=line.ts,
        received_at=received_at,
        app=origin.app,
        environment=origin.environment,
        source=line.source,
        process=line.process,
        dyno=dyno_of(line),
        kind=meaning.kind,
        code=meaning.code,
        severity=meaning.severity,
        message=line.text,
        fields=meaning.fields,
    )


def is_read_for(node: Node) -> bool:
    """Whether a line must be read to know whether it is in the filter, beyond its header."""
    match node:
        case And(nodes) | Or(nodes):
            return any(map(is_read_for, nodes))
        case Not(inner):
            return is_read_for(inner)
        case Everything() | Text() | TextGlob():
            return False
    return node.name not in _OF_THE_HEADER


def dyno_of(line: Line) -> str | None:
    """The dyno that a line is about: the one that wrote it, or that a router line names; None where it is about none."""
    if line.process == "router":
        # The last one: a client may have written another into the path before it.
        return line.text.rpartition(" dyno=")[2].partition(" ")[0] or None if " dyno=" in line.text else None
    return line.process if _DYNO.fullmatch(line.process) else None


def _meaning(line: Line) -> Meaning:
    readers = readers_of(line.source, line.process)
    for read in readers:
        if meaning := read(line):
            return meaning
    if router.read in readers:
        return Meaning(KIND, Severity.INFO, fields=router.fields_of(line.text))
    said = read_app_line(line.text)
    return Meaning(KIND, said.severity, fields=said.fields) if said else _PLAIN
