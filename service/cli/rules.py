"""rules: what is in force, and where each number comes from; is a file of one's own right?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.options import Json

app = typer.Typer(help="The rules in force, and where each number comes from.", no_args_is_help=True)

App = Annotated[str | None, typer.Option(help="As they hold for this app.")]
Environment = Annotated[str | None, typer.Option(help="What that app is used for, where it has no drain yet.")]

# What a rule is about in a few words: the numbers that one would change.
_NUMBERS = ("count", "levels", "sum", "of", "at_least", "distinct", "within", "stable", "quiet", "regular")


@app.command("list")
def list_rules(app: App = None, environment: Environment = None, json: Json = False) -> None:
    """List the rules: how bad, with which numbers, and which files say so."""
    from rich.text import Text

    from service.cli import client, show

    found = client.ask("GET", "/v1/rules", params={"app": app, "environment": environment})
    if json:
        show.as_json(found)
        return
    rows = [
        (
            one["name"],
            show.severity(one["severity"]) if one["enabled"] else Text("off", style="dim"),
            ", ".join(one["sources"]) + (f", and {len(one['limited'])} for some apps" if one["limited"] else ""),
            " ".join(f"{said['field']}={_short(said['value'])}" for said in one["fields"] if said["field"] in _NUMBERS),
        )
        for one in found["items"]
    ]
    show.table(("rule", "severity", "from", "numbers"), rows, empty="no rules")


@app.command("show")
def show_rule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The rule: crash_loop, …")],
    app: App = None,
    environment: Environment = None,
    json: Json = False,
) -> None:
    """Show one rule, whole, with the file that each of its fields comes from."""
    from service.cli import client, show
    from service.errors import DrainwatchError

    found = client.ask("GET", "/v1/rules", params={"app": app, "environment": environment})
    rule = next((one for one in found["items"] if one["name"] == name), None)
    if rule is None:
        raise DrainwatchError(f"there is no rule {show.plain(name)[:80]!r}; `drainwatch rules list` lists them")
    if json:
        show.as_json(rule)
        return
    _table(rule["fields"])
    for one in rule["limited"]:
        where = " ".join(f"{key}={one[key]}" for key in ("app", "environment") if one[key])
        show.console().print(f"\nwhere {show.plain(where)}:")
        _table([said for said in one["fields"] if said["field"] not in ("app", "environment")])


def _table(fields: Sequence[Mapping[str, Any]]) -> None:
    from service.cli import show

    rows = [(said["field"], said["source"], line) for said in fields for line in _lines(said["value"])]
    shown = [row if n == 0 or rows[n - 1][0] != row[0] else ("", "", row[2]) for n, row in enumerate(rows)]
    show.table(("field", "from", "value"), shown, empty="nothing is said of it")


@app.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A drainwatch.toml; else the one that would be read.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a file of settings and rules, offline: exit status 1 where something is wrong, which is said as a start would."""
    import os

    from service.cli import show
    from service.detect.rule_book import RuleBook
    from service.errors import SettingError
    from service.settings import read_settings

    environ = {**os.environ, "DRAINWATCH_CONFIG": str(file)} if file else os.environ
    wrong: list[str] = []
    rules = 0
    try:
        settings = read_settings(environ)
    except SettingError as error:
        wrong.append(str(error))
    else:
        rules = len(settings.rules)
        wrong += [" ".join(str(error).split()) for error in RuleBook.errors(settings.rules)]
    if json:
        show.as_json({"rules": rules, "wrong": wrong})
    else:
        for line in wrong:
            print(show.plain(line))
        show.note(f"{show.count(rules, 'rule table')}, {show.count(len(wrong), 'mistake')}")
    if wrong:
        raise typer.Exit(1)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(f"{one['count']:g}" if isinstance(one, dict) and "count" in one else str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lines(value: Any) -> list[str]:
    """A value as TOML would have it, a list of texts or tables on a line each."""
    import json

    def said(one: Any) -> str:
        if isinstance(one, dict):
            return "{ " + ", ".join(f"{name} = {said(inner)}" for name, inner in one.items()) + " }"
        return json.dumps(one, ensure_ascii=False)

    if isinstance(value, list) and any(isinstance(one, dict | str) for one in value):
        return [said(one) for one in value]
    return [said(value)]
