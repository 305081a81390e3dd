"""incidents, ack, resolve, note: what is going on, and taking it on."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from service.cli.options import App, Json, Limit, Since

app = typer.Typer()

_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

IncidentId = Annotated[str, typer.Argument(metavar="ID", help="The incident's id, as `incidents` shows it.")]
Version = Annotated[int | None, typer.Option(min=1, help="Act only if nobody else has since this version of it.")]


@app.command()
def incidents(
    filter: Annotated[
        str | None, typer.Argument(metavar="[FILTER|ID]", help="Only those in this filter; or an id: this one, whole.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only open, acknowledged or resolved.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule: crash_loop, …")] = None,
    app: App = None,
    severity: Annotated[str | None, typer.Option(help="Only as bad as this, or worse.")] = None,
    since: Since = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show the incidents, newest first; or one of them, whole."""
    from service.cli import client, show

    if filter is not None and _ID.fullmatch(filter):
        _show_one(client.ask("GET", f"/v1/incidents/{_segment(filter)}"), json)
        return
    params = {
        "q": filter,
        "status": status,
        "rule": rule,
        "app": app,
        "severity": severity,
        "since": since,
        "limit": limit,
    }
    found = client.ask("GET", "/v1/incidents", params=params)
    if json:
        show.as_json(found)
        return
    rows = [
        (
            show.time(one["opened_at"]),
            show.severity(one["severity"]),
            show.status(one["status"]),
            one["app"],
            one["rule"],
            one["id"],
            one["title"],
        )
        for one in found["items"]
    ]
    columns = ("opened", "severity", "status", "app", "rule", "id", "title")
    show.table(columns, rows, empty="no incidents")


@app.command()
def ack(id: IncidentId, version: Version = None, json: Json = False) -> None:
    """Acknowledge an incident: you are on it."""
    _act(id, "acknowledge", version, json)


@app.command()
def resolve(id: IncidentId, version: Version = None, json: Json = False) -> None:
    """Resolve an incident: it is over."""
    _act(id, "resolve", version, json)


@app.command()
def note(
    id: IncidentId,
    text: Annotated[str, typer.Argument(help="What whoever comes next should know.")],
    json: Json = False,
) -> None:
    """Keep a note in an incident's timeline."""
    from service.cli import client, show

    answer = client.ask("POST", f"/v1/incidents/{_segment(id)}/notes", body={"text": text})
    if json:
        show.as_json(answer)
    else:
        show.note(f"{answer['title']}: noted")


def _act(id: str, action: str, version: int | None, json: bool) -> None:
    from service.cli import client, show

    body = {} if version is None else {"version": version}
    answer = client.ask("POST", f"/v1/incidents/{_segment(id)}/{action}", body=body)
    if json:
        show.as_json(answer)
    else:
        show.note(f"{answer['title']}: {answer['status']}")


def _segment(id: str) -> str:
    from urllib.parse import quote

    return quote(id, safe="")


def _show_one(incident: Mapping[str, Any], json: bool) -> None:
    from rich.text import Text

    from service.cli import show

    if json:
        show.as_json(incident)
        return
    out = show.console()
    head = Text.assemble(show.severity(incident["severity"]), "  ", (show.plain(incident["title"]), "bold"))
    out.print(head)
    facts = (
        ("status", show.status(incident["status"])),
        ("flapping", f"since {show.time(incident['flapping_since'])}" if incident["flapping"] else None),
        ("app", f"{incident['app']} ({incident['environment']})"),
        ("rule", f"{incident['rule']}, {incident['subject']}, seen {show.count(incident['count'], 'time')}"),
        ("since", f"{show.time(incident['opened_at'])}, last seen {show.time(incident['last_seen_at'])}"),
        ("id", f"{incident['id']}, version {incident['version']}"),
        ("release", _release(incident["release"])),
        ("runbook", incident["runbook"]),
    )
    for name, value in facts:
        if value:
            shown = value if isinstance(value, Text) else Text(show.plain(value))
            out.print(Text.assemble((f"{name:>9}  ", "dim"), shown))
    out.print()
    out.print(Text(show.plain(incident["diagnosis"])))
    _section("do", [f"{n}. {remedy}" for n, remedy in enumerate(incident["remedies"], 1)])
    _section("verify", [incident["verify"]] if incident["verify"] else [])
    _section("not heard meanwhile", [_gap(one) for one in incident["gaps"]])
    _section("evidence", [f"{show.time(one['ts'])}  {show.gist(one)}" for one in incident["evidence"]])
    _section("lines around the first", [_line(line) for line in incident["context"]])
    _section("traceback", incident["traceback"] or [])
    _section("timeline", [_step(step) for step in incident["timeline"]])


def _section(title: str, lines: Iterable[str]) -> None:
    from rich.text import Text

    from service.cli import show

    out = show.console()
    for number, line in enumerate(lines):
        if number == 0:
            out.print()
            out.print(Text(title, style="dim"))
        out.print(Text("  " + show.plain(line)), no_wrap=True, overflow="ellipsis")


def _release(release: Mapping[str, Any] | None) -> str | None:
    if release is None:
        return None
    said = str(release["description"])
    by = f" by {release['actor']}" if release["actor"] and release["actor"] not in said else ""
    return f"{release['version']} {release['seconds_before']} s before: {said}{by}"


def _gap(gap: Mapping[str, Any]) -> str:
    from service.cli import show

    lost = f", {show.count(gap['number'], 'line')} lost" if gap["number"] is not None else ""
    return f"{show.time(gap['from'])} to {show.time(gap['to']) if gap['to'] else 'now'}: {gap['reason']}{lost}"


def _line(line: Mapping[str, Any]) -> str:
    from service.cli import show

    mark = ">" if line["own"] else " "
    return f"{mark} {show.time(line['ts'])}  {line['source']}[{line['process']}]: {line['message']}"


def _step(step: Mapping[str, Any]) -> str:
    from service.cli import show

    by = f" by {step['actor']}" if step["actor"] else ""
    note = f": {step['note']}" if step["note"] else ""
    return f"{show.time(step['at'])}  {step['type']}{by}{note}"
