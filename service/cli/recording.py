"""Log files: drain bodies as Logplex posts them, or text as `heroku logs` prints it; which of both, they say themselves."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from parsers.logs_text import to_body
from parsers.octet_counting import Damage, octet_counted, split_messages
from parsers.syslog import read_time
from service.cli.logplex import Piece, stamp
from service.errors import DrainwatchError

_PRINTED = re.compile(rb"\s*(?:\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d[T ]\S+ [a-z]+(?:\[[^\]\s]+\])?:")
_COUNTED = re.compile(rb"\d <\d{1,3}>\d{1,3} ")
_TIME_FIELD = re.compile(rb"(\d+ )(<\d{1,3}>\d+ )(\S+)( .*)", re.DOTALL)


def read_file(path: Path) -> bytes:
    """The file's bytes; of standard input where `path` is `-`. Raises DrainwatchError where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise DrainwatchError(f"{path} cannot be read: {error.strerror}") from error


def is_bodies(raw: bytes) -> bool:
    """Whether it is drain bodies, one behind the other and perhaps damaged, and not `heroku logs` text."""
    return not _PRINTED.match(raw) and _COUNTED.search(raw) is not None


def pieces_of(raw: bytes) -> list[Piece]:
    """What a node of Logplex would have sent: the bodies' messages and what stands between them, or the lines of a text."""
    bodies = raw if is_bodies(raw) else to_body(raw)
    return [
        Piece(part.body, None, False) if isinstance(part, Damage) else _piece(part.counted)
        for part in split_messages(bodies)
    ]


def rebased(pieces: Sequence[Piece], now: datetime) -> list[Piece]:
    """The same with all times moved by as much as makes the newest one `now`."""
    times = [piece.at for piece in pieces if piece.at]
    return list(_moved(pieces, now - max(times))) if times else list(pieces)


def _moved(pieces: Iterable[Piece], by: timedelta) -> Iterable[Piece]:
    for piece in pieces:
        found = _TIME_FIELD.fullmatch(piece.wire)
        if piece.at is None or found is None:
            yield piece
            continue
        at = piece.at + by
        message = found[2] + stamp(at).encode() + found[4]
        yield replace(piece, wire=octet_counted(message), at=at)


def _piece(counted: bytes) -> Piece:
    found = _TIME_FIELD.fullmatch(counted)
    return Piece(counted, read_time(found[3]) if found else None)
