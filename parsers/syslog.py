"""The header of a message (RFC 5424 §6, as Logplex writes it): bytes → Line.

    <PRI>VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP [STRUCTURED-DATA SP] MSG

Logplex leaves STRUCTURED-DATA out, without a `-` in its place, so a text that begins with `- ` or `[` looks like it. Here
`[id key="value" …]` is structured data wherever it is well-formed and has a parameter; `- ` is, unless HOSTNAME is `host`,
as in every HTTPS drain: there it is an app's own text, and only Heroku's own lines, none of which begins so, lose it.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from parsers.line import Line

# The first field as Logplex writes it; any other number of up to three digits is read as well (`has_priority`).
PRIORITIES = frozenset(b"<%d>1" % priority for priority in range(192))

_PRIORITY = re.compile(rb"<\d{1,3}>\d{1,3}")
_NAME = rb'[^\s="\]]{1,32}'
_STRUCTURED_DATA = re.compile(rb'(?:\[%s(?: %s="(?:[^"\\\]]|\\.)*")+\])+(?: |$)' % (_NAME, _NAME), re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FIRST_SIX = 6
TO_SECONDS = len("2026-05-11T12:00:")
_OF_STAMPS = b"0123456789-T:.+ "


def has_priority(field: bytes) -> bool:
    """Whether the field is `<PRI>VERSION`."""
    return _PRIORITY.fullmatch(field) is not None


def why_unreadable(message: bytes) -> str | None:
    """Why the message has no header that can be read, in a sentence; None where it has one."""
    fields = message.split(b" ", _FIRST_SIX)
    expected = "expected <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID"
    if not has_priority(fields[0]):
        return f"the header begins with {fields[0][:32]!r}; {expected}"
    if len(fields) < _FIRST_SIX:
        return f"the header of {message[:64]!r} has {len(fields)} of 6 fields; {expected}"
    return None


def read_line(message: bytes, received_at: datetime) -> Line:
    """The line of a message whose header can be read. The text, and the space before it, may be missing."""
    _, stamp, host, source, process, _, *rest = message.split(b" ", _FIRST_SIX)
    text = _after_structured_data(rest[0], host, source) if rest else b""
    return Line(read_time(stamp) or received_at, decode(source), decode(process), decode(text.removesuffix(b"\n")))


def decode(raw: bytes) -> str:
    """UTF-8, with U+FFFD for what is not, and for NUL."""
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def _after_structured_data(text: bytes, host: bytes, source: bytes) -> bytes:
    if text.startswith(b"["):
        if found := _STRUCTURED_DATA.match(text):
            return text[found.end() :].removeprefix(_BYTE_ORDER_MARK)
    elif (text == b"-" or text.startswith(b"- ")) and (host != b"host" or source == b"heroku"):
        return text[2:].removeprefix(_BYTE_ORDER_MARK)
    return text


def read_time(stamp: bytes) -> datetime | None:
    """A header's time as aware UTC, or None where it is none.

    0 to 9 digits of fraction, of which microseconds are kept; `Z`, `±hh:mm`, or nothing, which is UTC too.
    """
    try:
        text = (
            stamp.decode("ascii").upper().replace("Z+", "+")
        )  # `Z+00:00` is malformed and seen (Logplex's own README)
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the 13th month; the first hour of year 1, seen from the east
        return None


def span_of(stamps: Sequence[bytes], received_at: datetime) -> tuple[datetime, datetime]:
    """The earliest and the latest of some headers' times; a time that cannot be read is the time of receipt.

    Where all are of one minute of UTC and written as Logplex writes them, their bytes are in the order of their times, for
    `+` comes before `.` and the digits: 0.1 µs a line (what is no time, as `…:7.+00:00`, passes between two that are). Else
    each is read, in one go where that can be done (0.2), or one by one (0.8).
    """
    if not stamps:
        return received_at, received_at
    in_order = sorted(
        stamps
    )  # they nearly are, and then this is half as dear as to look for the least and the greatest
    earliest, latest = in_order[0], in_order[-1]
    if earliest[:TO_SECONDS] == latest[:TO_SECONDS]:
        joined = b" ".join(stamps)
        if _are_of_utc(joined, len(stamps)) and not joined.translate(None, _OF_STAMPS):
            first, last = read_time(earliest), read_time(latest)
            if first and last:
                return first, last
    times = read_times(stamps) or [read_time(stamp) or received_at for stamp in stamps]
    return min(times), max(times)


def read_times(stamps: Sequence[bytes]) -> list[datetime] | None:
    """Some headers' times as aware UTC, in one go: 0.2 µs each; None where one cannot be read so, which may be a time all the
    same."""
    joined = b" ".join(stamps)
    if not _are_of_utc(joined, len(stamps)):
        return None
    try:
        times = list(map(datetime.fromisoformat, joined.decode("ascii").split(" ")))
    except ValueError:
        return None
    return times if {time.tzinfo for time in times} == {UTC} else None  # a date alone has none: `2026-05-11+00:00`


def _are_of_utc(joined: bytes, many: int) -> bool:
    """Whether so many times, joined by spaces, are all written with UTC's offset."""
    return joined.count(b"+00:00 ") == many - 1 and joined.endswith(b"+00:00")
