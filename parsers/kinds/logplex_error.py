"""Losses and errors of the logs themselves: L10 to L15 and L20 (Heroku: Error codes; wordings of Logplex and log-shuttle).

`Error L10 (output buffer overflow): 3 messages dropped since 2026-09-26T09:59:58.000001+00:00.` stands in a frame;
`heroku logs` words it `… drain 'd.…' dropped 1 messages since …`. Counts are cumulative per `since`.
"""

import re

from parsers.catalogue import severity_of
from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_ERROR = re.compile(r"(?:Error )?(L\d+)\b(?: \(([^)]*)\))?[:\s]*(?:-> )?(.*)", re.DOTALL)
_LOSS = re.compile(
    r"(?:drain '(d\.[0-9A-Za-z-]+)' dropped )?(?<!\d)(\d{1,12}) messages? (?:(?:dropped|lost) )?since (\S+?)\.?$"
)
_VALUE = re.compile(r'\b(error|uri)="([^"]*)"')
_LOSSES = ("L10", "L12", "L13")  # of lines that were on their way here; L11 is a terminal that did not keep up
_LARGE = 1000  # lines lost in one go above which it is an error


def read(line: Line) -> Meaning | None:
    """The error with its `name`; for a loss the `count`, `since`, and the `drain` if named; for L14 `error` and `uri`."""
    found = _ERROR.match(line.text)
    if found is None:
        return None
    code, name, text = found.groups()
    fields: dict[str, FieldValue] = {"name": name} if name else {}
    severity = severity_of(code)
    if loss := _LOSS.search(text.rstrip()):
        count = int(loss[2])
        fields |= {"count": count, "since": loss[3]}
        if loss[1]:
            fields["drain"] = loss[1]
        if code in _LOSSES and count > _LARGE:
            severity = Severity.ERROR
    elif text:
        fields["text"] = text
        fields |= dict(_VALUE.findall(text))
    return Meaning("logplex_error", severity, code=code, fields=fields)


def is_overflow_notice(text: bytes) -> bool:
    """Whether a message's text is the line that Logplex puts before a frame's own messages when it dropped some."""
    return text.startswith(b"Error L10 (")
