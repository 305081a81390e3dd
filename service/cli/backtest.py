"""backtest: which incidents rules would have opened, over files or over what the service has kept; nothing is sent.

The folds are the ones that run live, over the lines read anew. What was opened live stands beside it, so that a number can be
changed with its consequences in view.
"""

import asyncio
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import Json
from service.errors import DrainwatchError, SettingError

if TYPE_CHECKING:
    from service.cli.batches import Reader
    from service.cli.tested import Tested
    from service.detect.rule import Rule
    from service.settings import Settings

app = typer.Typer()


@app.command()
def backtest(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE…]", help="Drain bodies or `heroku logs` text; - is stdin.")
    ] = None,
    app: Annotated[
        str | None, typer.Option(help="Whose lines the files are; without files, read what the service has of it.")
    ] = None,
    environment: Annotated[str | None, typer.Option(help="What that app is used for, where files are read.")] = None,
    since: Annotated[str | None, typer.Option(help="Without files: from then on, RFC 3339 or 7d ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Without files: before then.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="RULE.FIELD=VALUE", help="Change a rule: crash_loop.count=3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A drainwatch.toml with the rules; else the one in use.")] = None,
    json: Json = False,
) -> None:
    """Show the incidents that the rules would have opened; exit status 1 where there are any. Nothing is sent."""
    from service import interpreter
    from service.cli import show
    from service.settings import read_settings

    if not files and not app:
        raise DrainwatchError("nothing to read; expected files, or --app APP for what the service has kept of it")
    if files and (since or until):
        raise DrainwatchError("--since and --until are for what the service has kept; a file is read whole")
    settings = read_settings({**os.environ, "DRAINWATCH_CONFIG": str(config)} if config else os.environ)
    interpreter.settle()
    began = monotonic()
    changes = [_change(one) for one in set or ()]
    if files:
        tested = _of_files(files, settings, changes, app or "app", environment or "production", quiet=json)
    else:
        tested = asyncio.run(_of_service(settings, changes, str(app), since, until, quiet=json))
    took = monotonic() - began
    if json:
        show.as_json({**tested.json(), "seconds": round(took, 3)})
    else:
        tested.show()
        show.note(f"{show.count(tested.lines, 'line')} in {took:.1f} s")
    if tested.found or tested.only_live:
        raise typer.Exit(1)


def _of_files(
    files: Sequence[Path],
    settings: "Settings",
    changes: Iterable[Mapping[str, Any]],
    app: str,
    environment: str,
    *,
    quiet: bool,
) -> "Tested":
    from parsers.line import Origin
    from service.app import reading_of
    from service.cli import batches, recording
    from service.cli.tested import Tested, lives
    from service.detect.backtest import Backtest
    from service.detect.history import SETTLE

    origin = Origin(app, environment)
    reader = batches.Reader(origin, reading_of(settings))
    folds = Backtest(_rules(settings, changes, app, environment), origin)
    lines, newest_at = 0, None
    raws = [recording.read_file(path) for path in files]
    with _progress(sum(map(len, raws)), quiet=quiet) as advance:
        for raw in raws:
            for read in reader.file(raw, now=batches.now()):
                folds.add(read.batch)
                lines += read.lines
                newest_at = max(newest_at or read.batch.newest_at, read.batch.newest_at)
                advance(read.bytes)
    return Tested(lines, lives(folds.end(newest_at + SETTLE if newest_at else None)), None)


async def _of_service(
    settings: "Settings",
    changes: Iterable[Mapping[str, Any]],
    app: str,
    since: str | None,
    until: str | None,
    *,
    quiet: bool,
) -> "Tested":
    from parsers.line import Origin
    from service.app import reading_of
    from service.cli import batches
    from service.cli.client import connect
    from service.cli.tested import Tested, lives
    from service.detect.backtest import Backtest

    async with connect(os.environ) as client:
        known = await client.call("GET", "/v1/apps", params={"app": app})
        if not known["items"]:
            raise DrainwatchError(f"there is no app {app!r}; `drainwatch apps` lists them")
        origin = Origin(app, known["items"][0]["environment"])
        reader: Reader = batches.Reader(origin, reading_of(settings))
        folds = Backtest(_rules(settings, changes, app, origin.environment), origin)
        lines, first_at, newest_at = 0, None, None
        with _progress(None, quiet=quiet) as advance:
            async for read in batches.stored(client, reader, app=app, since=since or "7d", until=until):
                folds.add(read.batch)
                lines += read.lines
                first_at = min(first_at or read.first_at, read.first_at)
                newest_at = max(newest_at or read.batch.newest_at, read.batch.newest_at)
                advance(read.bytes)
        # In silence timers run on, up to now or to the end that was asked for.
        clock = batches.now() if until is None else newest_at
        found = lives(folds.end(max(clock, newest_at) if clock and newest_at else None))
        live = await _live(client, app, first_at.isoformat() if first_at else None, until)
    return Tested(lines, found, live)


async def _live(client: Any, app: str, since: str | None, until: str | None) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    if since is None:
        return found
    cursor = None
    while True:
        params = {"app": app, "since": since, "until": until, "limit": 1000, "cursor": cursor}
        page = await client.call("GET", "/v1/incidents", params=params)
        kept = ("id", "rule", "subject", "severity", "status", "opened_at", "resolved_at", "count")
        found += [{name: one[name] for name in kept} for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found[::-1]


def _rules(settings: "Settings", changes: Iterable[Mapping[str, Any]], app: str, environment: str) -> Sequence["Rule"]:
    """The rules of the settings for that app, changed."""
    from service.detect.rule_book import RuleBook
    from service.detect.table import RuleError

    try:
        return RuleBook([*settings.rules, *((one, "--set") for one in changes)]).for_app(app, environment)
    except RuleError as error:
        raise SettingError(str(error)) from error


def _change(text: str) -> Mapping[str, Any]:
    """`crash_loop.count=3` → the table that retunes the rule so."""
    place, equals, said = text.partition("=")
    rule, dot, field = place.partition(".")
    if not (equals and dot and rule and field):
        raise DrainwatchError(f"--set {text!r}; expected RULE.FIELD=VALUE, as in crash_loop.count=3")
    try:
        value = tomllib.loads(f"value = {said}")["value"]
    except tomllib.TOMLDecodeError:  # who types `within=5m` has no quotes in mind
        value = said
    return {"name": rule, field: value}


@contextmanager
def _progress(total: int | None, *, quiet: bool) -> Iterator[Any]:
    """A function to call with the bytes that are done; a bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from service.cli import show

    out = show.console(err=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("folding", total=total)
        yield lambda done: progress.advance(task, done)
