"""What stands in a body: messages with their octet counts, and how many of them make one frame."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from parsers.octet_counting import octet_counted
from parsers.syslog import read_time

TARGET_BYTES = 102_400  # `http_drain_target_bytes`
MOST_MESSAGES = 1024  # what a node's buffer holds

_HEADER = re.compile(rb"\d+ (<\d{1,3}>\d+) (\S*) (\S*) (\S*) (\S*) (\S*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """A message with its octet count, or bytes that are none. `at` is its own time, if it has one."""

    wire: bytes
    at: datetime | None
    is_message: bool = True


def piece_of(counted: bytes) -> Piece:
    """One octet-counted message, with the time in its header."""
    found = _HEADER.fullmatch(counted)
    return Piece(counted, read_time(found[2]) if found else None)


def count(pieces: Sequence[Piece]) -> int:
    """How many messages are among them: what `Logplex-Msg-Count` counts."""
    return sum(piece.is_message for piece in pieces)


def take_frame(pieces: Sequence[Piece], start: int, stop: int | None = None) -> int:
    """The end of the frame that begins at `start`: as many pieces as fit, up to `stop`, and one at least."""
    size, end = 0, start
    stop = len(pieces) if stop is None else stop
    while end < stop and end - start < MOST_MESSAGES:
        size += len(pieces[end].wire)
        if size > TARGET_BYTES and end > start:
            break
        end += 1
    return end


def moved(piece: Piece, by: timedelta) -> Piece:
    """The same with its time moved; as it is where it has none."""
    found = _HEADER.fullmatch(piece.wire)
    if piece.at is None or found is None:
        return piece
    at = piece.at + by
    message = b"%b %b %b %b %b %b%b" % (found[1], stamp(at).encode(), *found.groups()[2:])
    return replace(piece, wire=octet_counted(message), at=at)


def speaker_of(piece: Piece) -> str:
    """The PROCID in its header (`web.1`, `router`); empty where it has none."""
    found = _HEADER.fullmatch(piece.wire)
    return found[5].decode(errors="replace") if found else ""


def as_in_a_shield_space(piece: Piece) -> Piece:
    """The same as log-shuttle writes it: another host's name, and `-` for the structured data that Logplex leaves out."""
    found = _HEADER.fullmatch(piece.wire)
    if found is None:
        return piece
    priority, time, _, source, process, msgid, rest = found.groups()
    return replace(
        piece, wire=octet_counted(b"%b %b shuttle %b %b %b -%b" % (priority, time, source, process, msgid, rest))
    )


def stamp(at: datetime) -> str:
    """A time as Logplex writes it: microseconds with trailing zeros removed, and `+00:00`."""
    whole, _, fraction = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds").partition(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}+00:00" if digits else f"{whole}+00:00"
