"""One logfmt line per unit of work: `log.info("frame.stored", drain=7, messages=100, ms=4)`.

It is written to standard error as `at=frame.stored drain=7 messages=100 ms=4`, with `level=` behind `at` for all but info,
and no time: Heroku, Docker and systemd put theirs in front. One record is one line, whatever it holds, so that drainwatch
can read its own log. Fields that are None are left out.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

log: FilteringBoundLogger = structlog.get_logger()

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def start_logging(level: str) -> None:
    """Records from `level` (`debug`, `info`, `warning`, `error`) on are written; of the libraries', warnings and worse.

    Called once, when a process starts. Libraries at their chattiest would log URLs and headers, which may hold secrets: so
    `level` is drainwatch's own.
    """
    _configure(level)
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def line_of(fields: Mapping[str, object]) -> str:
    """Fields as one line of logfmt, in their order, those that are None left out."""
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text.isprintable() and text and not any(sign in text for sign in ' "=\\'):
        return text
    return '"' + "".join(_ESCAPES.get(letter) or _printable(letter) for letter in text) + '"'


def _printable(letter: str) -> str:
    """Whatever a terminal or a reader of lines could stumble over as its number: escape sequences, U+2028."""
    return letter if letter.isprintable() else f"\\u{ord(letter):04x}"


class _Libraries(logging.Handler):
    """Records of the libraries' own loggers, as our lines: `at=uvicorn.error level=error message="…"`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
            fields = {"level": record.levelname.lower(), "message": record.getMessage().rstrip(), "trace": trace}
            _write(line_of({"at": record.name, **fields}))
        except Exception:  # a library's mistake in its own record must not reach the library's caller
            self.handleError(record)


class _Lines:
    """Where structlog's records go, made into a line by then."""

    def msg(self, line: str) -> None:
        _write(line)

    debug = info = warning = error = critical = msg


def _write(line: str) -> None:
    try:
        # In one call, or lines of several threads would mix.
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # closed: whoever read the log is gone, and no frame is lost for that


def _render(_logger: WrappedLogger, level: str, record: MutableMapping[str, Any]) -> str:
    at, trace = record.pop("event"), record.pop("exception", None)
    level_shown = None if level == "info" else level
    return line_of({"at": at, "level": level_shown, **record, "trace": trace})


def _configure(level: str) -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=False,
    )


_configure("info")  # also where nobody starts it: a test, a command of the terminal
