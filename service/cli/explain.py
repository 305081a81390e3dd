"""explain: why somebody was told of an incident, or nobody."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from service.cli.options import Json

app = typer.Typer()

# What is told, or not, without a step.
_STEPLESS = {"incident.reminder": "reminder"}


def _at(text: str, *, now: datetime | None = None) -> str:
    """`03:12` → the last time that it was so late here, in RFC 3339; other text as it is."""
    clock = re.fullmatch("([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", text)
    if clock is None:
        return text
    here = (now or datetime.now()).astimezone()
    then = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
    return (then if then <= here else then - timedelta(days=1)).isoformat()


@app.command()
def explain(
    incident: Annotated[str | None, typer.Argument(metavar="[INCIDENT]", help="An incident's id.")] = None,
    app: Annotated[str | None, typer.Option(help="Instead: this app, at a time.")] = None,
    at: Annotated[str | None, typer.Option(help="That time: 03:12 (here), RFC 3339, or 2h ago.")] = None,
    json: Json = False,
) -> None:
    """Say why an incident was told or not; or why, at a time, nothing of an app was."""
    from service.cli import client, show

    if (incident is None) == (app is None) or (app is None) != (at is None):
        raise typer.BadParameter("expected an incident's id, or --app APP and --at TIME")
    if incident is not None:
        from urllib.parse import quote

        found = client.ask("GET", f"/v1/incidents/{quote(incident, safe='')}/decisions")
        if json:
            show.as_json(found)
        else:
            _show(found["items"])
        return
    found = client.ask("GET", "/v1/decisions", params={"app": app, "at": _at(at or "")})
    if json:
        show.as_json(found)
        return
    out = show.console()
    out.print(show.plain(found["says"]), markup=False, soft_wrap=True)
    for one in found["incidents"]:
        out.print()
        out.print(show.plain(f"{one['title']} ({one['id']})"), markup=False, soft_wrap=True)
        _show(one["decisions"])
    for one in found["silences"]:
        text = (
            f"silence {one['id']} was in force: {one['match']}, until {show.time(one['ends_at'])}, by {one['author']}"
        )
        show.note(text)


def _show(decisions: Iterable[Mapping[str, Any]]) -> None:
    from service.cli import show

    rows = [
        (
            show.time(one["at"]),
            one["step"] or _STEPLESS.get(one["type"], "–"),
            str(one["webhook_id"] or "all"),
            "told" if one["told"] else "not told",
            f"for {one['reason']}",
        )
        for one in decisions
    ]
    show.table(("at", "step", "webhook", "", "why"), rows, empty="nothing was decided yet")
