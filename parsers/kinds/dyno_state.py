"""The life of a dyno (`heroku[web.1]`): starting, up, crashed, stopped, and what its process did (heroku.com: Dynos).

One-off dynos (`run.1234`, `scheduler.5678`, `release.9811`) live the same way and end in `complete`.
"""

import re
from collections.abc import Callable

from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line
from parsers.quantities import megabytes, number

_Found = re.Match[str]
_Fields = dict[str, FieldValue]
# 128 + the number of the signal that ended it (POSIX shells do the same).
_SIGNALS = {
    129: "SIGHUP",
    130: "SIGINT",
    131: "SIGQUIT",
    132: "SIGILL",
    134: "SIGABRT",
    135: "SIGBUS",
    136: "SIGFPE",
    137: "SIGKILL",
    139: "SIGSEGV",
    141: "SIGPIPE",
    143: "SIGTERM",
}
_NORMAL_EXITS = (0, 143)  # ended by itself; ended by SIGTERM, as every restart does


def read(line: Line) -> Meaning | None:
    """What happened, as `action`, with the fields of that action; `error` for a crash, `warning` for an exit that failed."""
    for pattern, action, fields_of in _HAPPENINGS:
        if found := pattern.fullmatch(line.text):
            fields: _Fields = {"action": action, **fields_of(found)}
            return Meaning("dyno_state", _severity(fields), dyno=line.process, fields=fields)
    return None


def _severity(fields: _Fields) -> Severity:
    if fields.get("to") == "crashed":
        return Severity.ERROR
    return Severity.INFO if fields.get("exit_status", 0) in _NORMAL_EXITS else Severity.WARNING


def _states(found: _Found) -> _Fields:
    return {"from": found[1], "to": found[2]}


def _exit_status(found: _Found) -> _Fields:
    if found[1] is None:
        return {}
    status = int(found[1])
    return {"exit_status": status, "signal": _SIGNALS[status]} if status in _SIGNALS else {"exit_status": status}


def _signal(found: _Found) -> _Fields:
    return {"signal": found[1]}


def _command(found: _Found) -> _Fields:
    return {"command": found[1]}


def _memory(found: _Found) -> _Fields:
    return {"mem_mb": megabytes(found[1]), "mem_pct": number(found[2])}


def _nothing(_: _Found) -> _Fields:
    return {}


_HAPPENINGS: tuple[tuple[re.Pattern[str], str, Callable[[_Found], _Fields]], ...] = (
    (re.compile(r"State changed from (\S+) to (\S+)"), "state_changed", _states),
    (re.compile(r"Process exited(?: with status (\d{1,9}))?"), "exited", _exit_status),
    (re.compile(r"Starting process with command:? `(.*?)`?", re.DOTALL), "starting", _command),
    (re.compile(r"Stopping (?:all processes|remaining processes|process) with (SIG[A-Z]+)"), "stopping", _signal),
    (re.compile(r"Restarting"), "restarting", _nothing),
    (re.compile(r"Cycling"), "cycling", _nothing),
    (re.compile(r"Idling"), "idling", _nothing),
    (re.compile(r"Unidling"), "unidling", _nothing),
    (re.compile(r"Awaiting client"), "awaiting_client", _nothing),
    (re.compile(r"Client connection closed\. Sending (SIG[A-Z]+) to all processes"), "client_closed", _signal),
    (re.compile(r"Process running mem=(\S+?)\(([\d.]+)%\)"), "memory", _memory),
)
