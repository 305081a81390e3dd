"""A line: one message of a frame, read; and where frames come from."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose log stream it is: the app as registered, and what it is used for (`production`, `staging`, …)."""

    app: str
    environment: str


class Line(NamedTuple):  # made for each line that is read: a frozen dataclass takes three times as long
    """One message with its header read (RFC 5424 §6 as Logplex writes it).

    `ts` is its own time, aware UTC, or the time of receipt where that cannot be read; `source` is the APP-NAME (`app`,
    `heroku`), `process` the PROCID (`router`, `web.1`, `api`), `text` what follows the header, without its trailing
    newline. All text is decoded as UTF-8; what is not, and NUL, which Postgres cannot keep, stands as U+FFFD.
    """

    ts: datetime
    source: str
    process: str
    text: str
