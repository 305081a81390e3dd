"""Lines as `heroku logs` prints them, and the body of a frame that says the same, so that one parser reads both.

    2026-05-11T12:00:00.123456+00:00 heroku[web.1]: State changed from starting to up

There is no priority, host or length in them; `[process]` and the space after the colon may be missing, colours may be left
in from a terminal. A line without a header goes on with the one before: it is a line of the same time and process.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from parsers.line import Line
from parsers.octet_counting import octet_counted
from parsers.syslog import decode, read_time

_LINE = re.compile(rb"(\d{4}-\d\d-\d\d[T ]\S+) ([A-Za-z][^\s\[\]:]*)(?:\[([^\]\s]+)\])?:(?: |$)(.*)")
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_NONE = b"-"  # what a header has where a field is missing (RFC 5424 §6, NILVALUE)


def to_body(text: bytes) -> bytes:
    """The octet-counted messages that the lines are, in order."""
    return b"".join(octet_counted(b"<190>1 %s host %s %s - %s\n" % fields) for fields in _split(text))


def read_logs_text(text: bytes, received_at: datetime) -> Iterator[Line]:
    """The lines, in order; `received_at` stands in for a time that cannot be read."""
    for stamp, source, process, said in _split(text):
        yield Line(read_time(stamp) or received_at, decode(source), decode(process), decode(said))


def _split(text: bytes) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """Time, source, process and text of each line. Empty lines without a header are left out."""
    header = (_NONE, b"app", _NONE)
    for raw in text.split(b"\n"):
        line = _COLOURS.sub(b"", raw.removesuffix(b"\r"))
        if found := _LINE.match(line):
            header = (found[1].replace(b" ", b"T"), found[2], found[3] or _NONE)
            yield (*header, found[4])
        elif line.strip():
            yield (*header, line)
