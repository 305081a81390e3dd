"""How the terminal shows things: aligned tables, severities in colour, times in the local zone and short.

Text from logs is shown without the control characters in it: an app's log must not drive an operator's terminal.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

SEVERITY_STYLE = {
    "debug": "dim",
    "info": "cyan",
    "warning": "yellow",
    "error": "red",
    "critical": "bold red",
}
STATUS_STYLE = {
    "open": "red",
    "acknowledged": "yellow",
    "resolved": "green",
    "delivered": "green",
    "pending": "yellow",
    "dead": "red",
    "superseded": "dim",
    "up": "green",
    "starting": "yellow",
    "crashed": "red",
    "deploying": "yellow",
    "deployed": "green",
    "failed": "red",
    "rolled_back": "yellow",
    "active": "yellow",
    "upcoming": "cyan",
    "ended": "dim",
}

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_UNESCAPED_CONTROL = re.compile("[\x7f-\x9f]")
# Nothing is cut where nobody's window is that wide.
_WIDE = 10_000


def console(*, err: bool = False) -> Console:
    """Where to print; as wide as the terminal, or as the text where there is none."""
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, highlight=False, width=None if stream.isatty() else _WIDE)


def as_json(answer: Any) -> None:
    """Prints what the API answered. Control characters are escaped, which JSON leaves open for some."""
    text = json.dumps(answer, ensure_ascii=False, indent=2)
    print(_UNESCAPED_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, empty: str) -> None:
    """Prints rows under dim headings; `empty` where there are none. Columns are as wide as what is in them; what goes beyond
    the window's edge is cut there."""
    out = console()
    cells = [[cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row] for row in rows]
    if not cells:
        out.print(Text(empty, style="dim"))
        return
    head = [Text(name.upper(), style="dim") for name in columns]
    widths = [max(row[n].cell_len for row in [head, *cells]) for n in range(len(columns) - 1)]
    for row in [head, *cells]:
        line = Text("  ").join([*map(_padded, row, widths), row[-1]])
        line.truncate(out.width, overflow="ellipsis")
        out.print(line, no_wrap=True)


def count(number: int, noun: str) -> str:
    """`count(1, "line")` → `1 line`, `count(2500, "line")` → `2,500 lines`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def note(text: str) -> None:
    """Says something beside the result, on standard error, so that the result can be piped."""
    console(err=True).print(Text(text, style="dim"))


def plain(text: object) -> str:
    """Text without what would move a cursor, ring a bell, or turn the writing round."""
    return _CONTROL.sub("·", str(text))


def severity(label: str) -> Text:
    """A severity in its colour."""
    return Text(plain(label), style=SEVERITY_STYLE.get(label, ""))


def status(label: str) -> Text:
    """A state in its colour."""
    return Text(plain(label), style=STATUS_STYLE.get(label, ""))


def time(at: str | None, *, now: datetime | None = None) -> str:
    """An instant in the local zone: `14:05:12` today, `11 May 14:05` this year, else `2025-05-11 14:05`; `–` for None."""
    if not at:
        return "–"
    then = datetime.fromisoformat(at).astimezone()
    today = (now or datetime.now(UTC)).astimezone(then.tzinfo)
    if then.date() == today.date():
        return f"{then:%H:%M:%S}"
    return f"{then.day} {then:%b %H:%M}" if then.year == today.year else f"{then:%Y-%m-%d %H:%M}"


def gist(event: Mapping[str, Any]) -> str:
    """An event's message; of a router line what an operator reads in it: method, path, status, time."""
    fields = event["fields"]
    if event["process"] != "router" or "path" not in fields:
        return str(event["message"])
    took = f"{fields['service_ms']} ms" if fields.get("service_ms") is not None else ""
    parts = (fields.get("desc"), fields.get("method"), fields.get("path"), fields.get("status"), took)
    return " ".join(str(part) for part in parts if part not in (None, ""))


def event(one: Mapping[str, Any]) -> Text:
    """An event on one line, in the colour of its severity."""
    style = SEVERITY_STYLE.get(one["severity"], "")
    where = one["dyno"] or one["process"]
    what = one["code"] or one["kind"]
    head = f"{time(one['ts'])}  {plain(one['app'])}  {plain(where)}  "
    return Text.assemble((head, "dim"), (f"{plain(what)}  ", style), (plain(gist(one)), style))


def line(one: Mapping[str, Any]) -> Text:
    """A line as it was sent, behind when and where from; in colour where its own words say how bad it is."""
    said = _LEVEL.search(one["message"][:200])
    style = _LEVEL_STYLE[said[1].lower()[:4]] if said else ""
    head = f"{time(one['ts'])}  {plain(one['app'])}  {plain(one['source'])}[{plain(one['process'])}]: "
    return Text.assemble((head, "dim"), (plain(one["message"]), style))


_LEVEL = re.compile(r"(?i)(?<![\w-])(at=error|error|critical|fatal|warn(?:ing)?|debug)(?![\w-])")
_LEVEL_STYLE = {"at=e": "red", "erro": "red", "crit": "bold red", "fata": "bold red", "warn": "yellow", "debu": "dim"}


def _padded(cell: Text, width: int) -> Text:
    padded = cell.copy()
    padded.pad_right(width - cell.cell_len)
    return padded
