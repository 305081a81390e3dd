"""What a Heroku Postgres server logs (`app[postgres.1127530]`): errors, refused connections, checkpoints, slow queries.

    [DATABASE] [9-1]  sql_error_code = 28000 FATAL:  no pg_hba.conf entry for host "203.0.113.9"
    [DATABASE] [9-2]  sql_error_code = 28000 DETAIL:  …

A message of several lines goes on as `[9-2]`, `[9-3]`, and the parts may come out of order. So the part that has the level
is the event; what explains it (DETAIL, HINT, CONTEXT, STATEMENT, or nothing at all) is a line beside it, and no event.
"""

import re

from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_LINE = re.compile(
    r"\[([^\]\s]+)\] \[(\d{1,9})-\d{1,9}\]\s+(?:sql_error_code = ([0-9A-Z]{5})\s+)?([A-Z]+):\s+(.*)", re.DOTALL
)
_SEVERITIES = {
    "PANIC": Severity.CRITICAL,  # the server restarts
    "FATAL": Severity.ERROR,  # a connection is ended, or refused
    "ERROR": Severity.ERROR,
    "WARNING": Severity.WARNING,
    "NOTICE": Severity.INFO,
    "INFO": Severity.INFO,
    "LOG": Severity.INFO,
}


def read(line: Line) -> Meaning | None:
    """Its `level`, `text` and `sqlstate`, the `attachment` that names the database, and the `number` its parts share."""
    found = _LINE.match(line.text)
    if found is None or found[4] not in _SEVERITIES:
        return None
    attachment, number, sqlstate, level, text = found.groups()
    fields: dict[str, FieldValue] = {"attachment": attachment, "number": int(number), "level": level, "text": text}
    if sqlstate and sqlstate != "00000":
        fields["sqlstate"] = sqlstate
    return Meaning("postgres_log", _SEVERITIES[level], fields=fields)
