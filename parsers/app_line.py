"""An app's own line that names an event, in whichever of three ways it is written: one reading of all.

    webauthn.challenge_stored store=redis user_id=7
    INFO raptor.webauthn: webauthn.challenge_stored store=redis user_id=7
    {"level": "info", "event": "webauthn.challenge_stored", "store": "redis", "user_id": 7}

A time, a process id in brackets and colours may stand before; `level=info event=webauthn.challenge_stored …` is read as well.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from parsers.event import FieldValue, Severity
from parsers.logfmt import read_values
from parsers.quantities import number

_LEVELS = {
    "trace": Severity.DEBUG,
    "debug": Severity.DEBUG,
    "info": Severity.INFO,
    "notice": Severity.INFO,
    "warn": Severity.WARNING,
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
    "err": Severity.ERROR,
    "critical": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "alert": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
}
_LEVEL_KEYS = ("level", "levelname", "severity", "lvl", "log.level")
_NAME_KEYS = ("event", "msg", "message", "event_name")

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NAME = r"[A-Za-z_][\w-]*(?:\.[\w-]+)*"
# What may stand before the name. A logger ends with a colon and no space before it; the name itself has none behind it
# (`INFO console.flags: console.flag.promotion.started`; logging's own default is `INFO:console.flags:console.flag…`).
_LEVEL = "|".join(_LEVELS)
_LOGGER = r"\[?[A-Za-z_][\w.$/-]*\]?"
_BEFORE = re.compile(
    r"\s*(?:-\s+)?"
    r"(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.,]*(?:Z|\s?[+-]\d\d:?\d\d)?\]?\s+(?:-\s+)?)?"
    r"(?:\[\d+\]\s+)?"
    rf"(?:{_LOGGER}\s+-\s+(?=(?:{_LEVEL})\s))?"
    rf"(?:[\[(<]?(?P<level>{_LEVEL})\s*[\])>]?(?::\s*|\s+-\s+|\s+))?"
    r"(?:\[\d+\]\s+)?"
    rf"(?:{_LOGGER}(?::\s*|\s+-\s+)(?={_NAME}(?:\s|$)))?",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(rf"({_NAME})[:,]?(?:\s|$)")


@dataclass(frozen=True, slots=True)
class AppLine:
    """A line that names an event: the name, how bad its level word says it is, and its fields with their types."""

    name: str
    severity: Severity
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


def read_app_line(text: str) -> AppLine | None:
    """The event that a line names, or None where it names none. Without a level word it is `info`."""
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    if text.lstrip().startswith("{"):
        return _read_json(text)
    before = _BEFORE.match(text)
    end = before.end() if before else 0
    level = before["level"] if before else None
    fields = _typed(text[end:])
    name = _FIRST_WORD.match(text, end)
    return _app_line(name[1] if name else None, level, fields)


def _read_json(text: str) -> AppLine | None:
    """As above of a JSON object; its message may be a whole line in turn: `{"msg": "shop.paid amount=5"}`."""
    try:
        said = json.loads(text)
        fields = _flat(said) if isinstance(said, dict) else {}
    except (ValueError, RecursionError):
        return None
    key = next((key for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
    inner = None if key is None else read_app_line(_plain(str(fields.pop(key))))
    if inner is None:
        return None
    level = next((fields.pop(key) for key in _LEVEL_KEYS if isinstance(fields.get(key), str)), None)
    severity = inner.severity if level is None else _severity(str(level))
    return AppLine(inner.name, severity, {**inner.fields, **fields})


def _plain(text: str) -> str:
    """No object within an object: each level of nesting would be read anew."""
    return "" if text.lstrip().startswith("{") else text


def _app_line(name: str | None, level: str | None, fields: dict[str, FieldValue]) -> AppLine | None:
    """The line with the name and the level that stand in `fields`, where none stood before them.

    A first word that is no dotted name (`stored event=webauthn.challenge_stored`) gives way to an `event=` as well.
    """
    if name is None or ("." not in name and "event" in fields):
        key = next((key for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
        if key is None:
            return None
        name = str(fields.pop(key)).partition(" ")[0]
    if level is None:
        said = next((fields.pop(key) for key in _LEVEL_KEYS if str(fields.get(key)).lower() in _LEVELS), None)
        level = None if said is None else str(said)
    return AppLine(name, _severity(level), fields)


def _severity(level: str | None) -> Severity:
    return Severity.INFO if level is None else _LEVELS.get(level.lower(), Severity.INFO)


def _typed(text: str) -> dict[str, FieldValue]:
    """logfmt's pairs: bare numbers as numbers, bare true and false as such, the rest as text."""
    fields: dict[str, FieldValue] = {}
    for key, value, quoted in read_values(text):
        amount = None if quoted else number(value)
        fields[key] = amount if amount is not None else value
        if not quoted and value in ("true", "false"):
            fields[key] = value == "true"
    return fields


def _flat(said: Mapping[str, object], prefix: str = "", depth: int = 4) -> dict[str, FieldValue]:
    """An object's values that a field may hold; those of objects in it under `outer.inner`, to a depth of four."""
    fields: dict[str, FieldValue] = {}
    for key, value in said.items():
        name = _clean(prefix + key)
        if isinstance(value, dict):
            if depth > 1:
                fields |= _flat(value, f"{name}.", depth - 1)
        elif isinstance(value, list):
            fields[name] = [_clean(item) if isinstance(item, str) else json.dumps(item) for item in value]
        else:
            fields[name] = _scalar(value)
    return fields


def _scalar(value: object) -> FieldValue:
    """Itself where JSON and Postgres can hold it: no NaN, no infinity, no integer beyond 64 bits, no NUL, no half character."""
    if isinstance(value, str):
        return _clean(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _clean(str(value))


def _clean(text: str) -> str:
    r"""JSON can write what UTF-8 and Postgres cannot keep, `\ud800` and `\u0000`: U+FFFD stands for them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
