"""Router lines (`heroku[router]`): a request and how it went (Heroku: HTTP Routing; Error codes H10 to H99).

    at=error code=H12 desc="Request timeout" method=GET path="/" host=… request_id=… fwd="…" dyno=web.1 connect=1ms …

Hard about them: `path` is printed decoded, with spaces and perhaps quotes in it; the client chooses `path`, `host`, `fwd`
and `request_id`; a line is cut at 10,000 bytes; keys come and go. So: by key, whatever the order, and never an error.
"""

import re
from collections.abc import Container

from parsers.catalogue import severity_of
from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line
from parsers.logfmt import read_pairs
from parsers.quantities import milliseconds, number

_PATH, _AFTER_PATH = 'path="', '" host='
# Until 2013: `Error H12 (Request timeout) -> GET app.example.com/timeout dyno=web.1 wait=0ms service=0ms bytes=0`.
_OLD = re.compile(
    r"Error (?P<code>H\d+) \((?P<desc>[^)]*)\)(?: -> (?P<method>[A-Z]+) (?P<host>[^\s/]+)(?P<path>/\S*)?)?"
)
_OF_THE_EVENT = ("code", "dyno")  # columns of the event, not among its fields


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
    return Meaning(kind, severity, code=pairs.get("code"), dyno=pairs.get("dyno"), fields=_fields(pairs))


def fields_of(text: str) -> dict[str, FieldValue]:
    """The fields of any router line, whether it is an event or not."""
    return _fields(pairs_of(text))


def pairs_of(text: str) -> dict[str, str]:
    """The line's pairs, without the empty ones (`dyno= connect=` of a request that reached no dyno), by key."""
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
    """`service=30001ms` → `service_ms: 30001`; numbers and truths as such; a value that is none is left out."""
    fields: dict[str, FieldValue] = {}
    for key, value in pairs.items():
        if key in ("connect", "service", "queue", "wait"):
            amount = milliseconds(value)
            if amount is not None:
                fields[f"{key}_ms"] = amount
        elif key in ("status", "bytes"):
            amount = number(value)
            if amount is not None:
                fields[key] = amount
        elif key == "tls":
            fields[key] = value == "true"
        elif key not in _OF_THE_EVENT:
            fields[key] = value
    return fields
