"""errors, stats: what went wrong lately, and how much of it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from service.cli.options import App, Code, Dyno, Environment, Filter, Json, Kind, Limit, Since, Until

app = typer.Typer()

_BLOCKS = " ▁▂▃▄▅▆▇█"
_BAR = 24  # characters of the longest


@app.command()
def errors(
    filter: Filter = None,
    app: App = None,
    environment: Environment = None,
    code: Code = None,
    kind: Kind = None,
    dyno: Dyno = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show the recent errors, newest first."""
    from service.cli import client, show

    params = {
        "q": filter,
        "app": app,
        "environment": environment,
        "code": code,
        "kind": kind,
        "dyno": dyno,
        "since": since,
        "until": until,
        "limit": limit,
    }
    found = client.ask("GET", "/v1/errors", params=params)
    if json:
        show.as_json(found)
        return
    rows = [
        (
            show.time(one["ts"]),
            show.severity(one["severity"]),
            one["app"],
            one["dyno"] or one["process"],
            one["code"] or one["kind"],
            show.gist(one),
        )
        for one in found["items"]
    ]
    show.table(("time", "severity", "app", "where", "what", "message"), rows, empty="no errors")


@app.command()
def stats(
    filter: Filter = None,
    by: Annotated[str, typer.Option(help="Counted by code, app, path, dyno or kind.")] = "code",
    app: App = None,
    environment: Environment = None,
    bucket: Annotated[str | None, typer.Option(help="How wide a column is: 1m, 5m, 1h, …")] = None,
    since: Annotated[str, typer.Option(help="From then on: RFC 3339, or 15m, 2h, 7d ago.")] = "1h",
    until: Until = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show how many errors there were, by what, and when."""
    from service.cli import client, show

    params = {
        "q": filter,
        "by": by,
        "app": app,
        "environment": environment,
        "bucket": bucket or _bucket(since, until),
        "since": since,
        "until": until,
        "limit": limit,
    }
    found = client.ask("GET", "/v1/stats/errors", params=params)
    if json:
        show.as_json(found)
        return
    counts = _by_key(found["items"])
    most = max(map(sum, counts.values()), default=0)
    rows = [
        (_shown(key), f"{sum(many):>8,}", bar(sum(many), most), sparks(many))
        for key, many in counts.items()
        if sum(many)
    ]
    show.table((by, "errors", "", f"since {since}"), rows, empty="no errors")
    if found["left_out"]:
        show.note(f"and {found['left_out']} more of fewer each; --limit shows them")


def bar(number: int, most: int) -> str:
    """`number` as a bar, of the full width for `most`; anything but 0 is seen."""
    eighths = max(1, round(8 * _BAR * number / most)) if number else 0
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def sparks(numbers: Iterable[int]) -> str:
    """Numbers as columns side by side, the largest at full height; anything but 0 is seen."""
    columns = list(numbers)
    most = max(columns, default=0)
    return "".join(_BLOCKS[max(1, round(8 * one / most))] if one else _BLOCKS[0] for one in columns)


def _bucket(since: str, until: str | None) -> str:
    """A width that makes some sixty columns of a time ago; a quarter of an hour where that cannot be told."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(since[-1:], 0)
    if until is not None or not seconds or not since[:-1].isascii() or not since[:-1].isdigit():
        return "15m"
    minutes = int(since[:-1][:9]) * seconds // 60
    return next((f"{width}m" for width in (1, 5, 15, 60, 180, 1440) if minutes <= 72 * width), "7d")


def _by_key(items: Iterable[Mapping[str, Any]]) -> dict[str | None, list[int]]:
    counts: dict[str | None, list[int]] = {}
    for one in items:
        counts.setdefault(one["key"], []).append(one["count"])
    return counts


def _shown(key: str | None) -> str:
    return "–" if key is None else key
