"""What was lost and is not announced yet, and the L10 line that announces it.

The line stands first in each body that is tried, made anew each time, until one of them is taken: so the number grows, and
of several lines with one `since` the last one counts.
"""

from dataclasses import dataclass
from datetime import datetime

from parsers.octet_counting import octet_counted
from service.cli.logplex.pieces import stamp


@dataclass(frozen=True, slots=True)
class Notice:
    """What one L10 line says."""

    messages: int
    since: datetime


class Losses:
    """The loss that is pending in a node."""

    def __init__(self) -> None:
        self._pending = 0
        self._frames_dropped_since: datetime | None = None

    def displaced(self, messages: int) -> None:
        """So many had to leave the buffer."""
        self._pending += messages

    def dropped(self, messages: int, at: datetime) -> None:
        """A frame of so many was given up."""
        self._pending += messages
        self._frames_dropped_since = self._frames_dropped_since or at

    def notice(self, now: datetime) -> Notice | None:
        """What is to be announced with a try at `now`, None where nothing is: since the first frame that was dropped, or,
        where the buffer alone has lost some, since now."""
        return Notice(self._pending, self._frames_dropped_since or now) if self._pending else None

    def announced(self, notice: Notice | None) -> None:
        """A body with `notice` in it was taken; what was lost meanwhile is still pending."""
        self._pending -= notice.messages if notice else 0
        self._frames_dropped_since = None


def loss_line(notice: Notice, now: datetime) -> bytes:
    """The line, octet-counted; it has no newline."""
    text = f"Error L10 (output buffer overflow): {notice.messages} messages dropped since {stamp(notice.since)}."
    return octet_counted(f"<172>1 {stamp(now)} host heroku logplex - {text}".encode())
