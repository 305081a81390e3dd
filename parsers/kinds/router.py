"""Router lines (`heroku[router]`): a request and how it went (Heroku: HTTP Routing; Error codes H10 to H99).

    at=error code=H12 desc="Request timeout" method=GET path="/" host=… request_id=… fwd="…" dyno=web.1 connect=1ms …

Hard about them: `path` is printed decoded, with spaces and perhaps quotes in it; the client chooses `path`, `host`, `fwd`
and `request_id`; a line is cut at 10,000 bytes; keys come and go. So: by key, whatever the order, and never an error.
"""

import re
from collections.abc import Callable, Container

from parsers.catalogue import severity_of
from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line
from parsers.logfmt import read_pairs
from parsers.quantities import milliseconds, number

# A line as the router has written it since 2015: these keys in this order, all but the path at times missing, no quote in a
# value, and nothing like a pair in one that is quoted but the path. `any_pairs` gives the same for it in twice the time, 10 µs.
_BEFORE = ("at", "code", "desc", "method")
_AFTER = (
    "host",
    "request_id",
    "fwd",
    "dyno",
    "connect",
    "service",
    "status",
    "bytes",
    "protocol",
    "tls",
    "tls_version",
)
_QUOTED = ("desc", "fwd")


def _optional(keys: tuple[str, ...]) -> str:
    values = {key: r'"([^"\\=]*)"' if key in _QUOTED else r'([^\s"]*)' for key in keys}
    return "".join(f"(?:{key}={value} )?" for key, value in values.items())


_USUAL = re.compile(f'{_optional(_BEFORE)}path="([^"]*)" {_optional(_AFTER)}')
_USUAL_KEYS = (*_AFTER, *_BEFORE, "path")

_PATH, _AFTER_PATH = 'path="', '" host='
# Until 2013: `Error H12 (Request timeout) -> GET app.example.com/timeout dyno=web.1 wait=0ms service=0ms bytes=0`.
_OLD = re.compile(
    r"Error (?P<code>H\d+) \((?P<desc>[^)]*)\)(?: -> (?P<method>[A-Z]+) (?P<host>[^\s/]+)(?P<path>/\S*)?)?"
)

# The field that a pair becomes, `service_ms: 30001` of `service=30001ms`, and what reads it: None leaves it out. Any other pair
# is a field as it stands.
_READ_AS: dict[str, tuple[str, Callable[[str], FieldValue]]] = {
    "connect": ("connect_ms", milliseconds),
    "service": ("service_ms", milliseconds),
    "queue": ("queue_ms", milliseconds),
    "wait": ("wait_ms", milliseconds),
    "status": ("status", number),
    "bytes": ("bytes", number),
    "tls": ("tls", lambda value: value == "true"),
    "code": ("code", lambda _: None),  # a column of the event
    "dyno": ("dyno", lambda _: None),
}


def read(line: Line) -> Meaning | None:
    """`router_error` where the line carries a code, whatever its `at=`; `router_failure` where its status is 5xx."""
    pairs = pairs_of(line.text)
    if code := pairs.get("code"):
        return _meaning("router_error", severity_of(code), pairs)
    status = number(pairs.get("status", ""))
    if status is not None and 500 <= status <= 599:
        return _meaning("router_failure", Severity.ERROR, pairs)
    return None


def read_watched(line: Line, paths: Container[str], endings: tuple[str, ...] = ()) -> Meaning | None:
    """`router_failure` of a request for a watched path, or one that ends in one of `endings`, however it went: `info`, or
    `warning` where its status is 4xx."""
    pairs = pairs_of(line.text)
    path = _without_query(pairs.get("path", ""))
    if path not in paths and not path.endswith(endings):
        return None
    status = number(pairs.get("status", ""))
    fine = status is None or status < 400
    return marked(_meaning("router_failure", Severity.INFO if fine else Severity.WARNING, pairs), paths)


def marked(meaning: Meaning, paths: Container[str]) -> Meaning:
    """`meaning` of a router line, with the path as `watched_path` where it is one of `paths`: without the query, which a
    client may make anew for each request."""
    path = _without_query(str(meaning.fields.get("path", "")))
    return meaning._replace(fields={**meaning.fields, "watched_path": path}) if path in paths else meaning


def _without_query(path: str) -> str:
    return path.partition("?")[0]


def _meaning(kind: str, severity: Severity, pairs: dict[str, str]) -> Meaning:
    return Meaning(kind, severity, pairs.get("code"), pairs.get("dyno"), _fields(pairs))


def fields_of(text: str) -> dict[str, FieldValue]:
    """The fields of any router line, whether it is an event or not."""
    return _fields(pairs_of(text))


def pairs_of(text: str) -> dict[str, str]:
    """The line's pairs, without the empty ones (`dyno= connect=` of a request that reached no dyno), by key."""
    if usual := _USUAL.fullmatch(f"{text} "):
        values, after = usual.groups(), len(_BEFORE) + 1
        pairs = zip(_USUAL_KEYS, values[after:] + values[:after], strict=True)
        return {key: value for key, value in pairs if value}
    return any_pairs(text)


def any_pairs(text: str) -> dict[str, str]:
    """The same of a line in any form, read by key."""
    if old := _OLD.match(text):
        pairs = {**read_pairs(text[old.end() :]), **old.groupdict()}
    else:
        before, path, after = _around_path(text)
        # What stands before the path is the router's own; after it a client's `fwd` could carry a key of that name.
        pairs = {**read_pairs(after), **read_pairs(before)}
        if path:
            pairs["path"] = path
    return {key: value for key, value in pairs.items() if value}


def _around_path(text: str) -> tuple[str, str, str]:
    """What stands before the path, the path as printed, what stands after: it ends at the last `" host=`.

    A line cut within the path has no such end: the path is what is left of it. A bare path (before 2015) is a pair
    like any other.
    """
    begin = text.find(_PATH)
    if begin < 0 or (begin > 0 and text[begin - 1] != " "):
        return text, "", ""
    begin += len(_PATH)
    end = text.rfind(_AFTER_PATH, begin)
    if end >= 0:
        return text[: begin - len(_PATH)], text[begin:end], text[end + 1 :]
    path, _, after = text[begin:].partition('" ')
    return text[: begin - len(_PATH)], path.removesuffix('"'), after


def _fields(pairs: dict[str, str]) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    for key, value in pairs.items():
        if key in _READ_AS:
            name, read = _READ_AS[key]
            if (found := read(value)) is not None:
                fields[name] = found
        else:
            fields[key] = value
    return fields
