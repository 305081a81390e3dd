"""Errors of the runtime (`heroku[web.1]`): `Error R14 (Memory quota exceeded)` (Heroku: Error codes R10 to R99)."""

import re

from parsers.catalogue import severity_of
from parsers.event import FieldValue
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_ERROR = re.compile(r"Error (R\d+)(?: \(([^)]*)\))?(?: -> (.*))?", re.DOTALL)
# `within 60 seconds of launch`, `within 30 seconds of SIGTERM`: the limit is Heroku's or the app's, so it is read.
_SECONDS = re.compile(r"\bwithin (\d{1,6}) seconds\b")


def read(line: Line) -> Meaning | None:
    """The error with its `name`, its `text`, and `seconds` where it names a limit. An unknown number is an error too."""
    found = _ERROR.match(line.text)
    if found is None:
        return None
    code, name, text = found.groups()
    fields: dict[str, FieldValue] = {}
    if name:
        fields["name"] = name
    if text:
        fields["text"] = text
        if limit := _SECONDS.search(text):
            fields["seconds"] = int(limit[1])
    return Meaning("dyno_error", severity_of(code), code=code, dyno=line.process, fields=fields)
