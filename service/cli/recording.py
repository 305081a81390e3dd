"""Log files: drain bodies as Logplex posts them, or text as `heroku logs` prints it; which of both, they say themselves."""

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from parsers.logs_text import to_body
from parsers.octet_counting import Damage, split_messages
from service.cli.logplex import Piece, moved, piece_of
from service.errors import DrainwatchError

_PRINTED = re.compile(rb"\s*(?:\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d[T ]\S+ [a-z]+(?:\[[^\]\s]+\])?:")
_COUNTED = re.compile(rb"\d <\d{1,3}>\d{1,3} ")


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
        Piece(part.body, None, False) if isinstance(part, Damage) else piece_of(part.counted)
        for part in split_messages(bodies)
    ]


def rebased(pieces: Sequence[Piece], now: datetime) -> list[Piece]:
    """The same with all times moved by as much as makes the newest one `now`."""
    times = [piece.at for piece in pieces if piece.at]
    return [moved(piece, now - max(times)) for piece in pieces] if times else list(pieces)
