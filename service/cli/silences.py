"""silence, silences list, silences remove: what is not told for a while."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from service.cli.options import Json, Limit

app = typer.Typer()
listing = typer.Typer(no_args_is_help=True, help="What is not told for a while.")

SilenceId = Annotated[int, typer.Argument(metavar="ID", help="Its number, as `silences list` shows it.", min=1)]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _span(text: str) -> timedelta:
    """`2h` → two hours."""
    found = re.fullmatch("([1-9][0-9]{0,5}) ?([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r}; expected a time, as in 30m, 2h or 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


@app.command()
def silence(
    match: Annotated[str, typer.Argument(metavar="MATCH", help='Which incidents, as in "app:shop-* rule:error_rate".')],
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long: 30m, 2h, 7d.")] = "24h",
    comment: Annotated[str | None, typer.Option(help="Why.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would have hushed.")] = False,
    json: Json = False,
) -> None:
    """Keep incidents from being told for a while; they are recognised and kept all the same."""
    from service.cli import client, show

    ends_at = datetime.now(UTC) + _span(lasts)
    would = client.ask("POST", "/v1/silences/preview", body={"match": match})
    if preview:
        if json:
            show.as_json(would)
        else:
            _show_preview(would)
        return
    if not json:
        show.note(_would(would))
    body = {"match": match, "ends_at": ends_at.isoformat(), "comment": comment}
    made = client.ask("POST", "/v1/silences", body=body)
    if json:
        show.as_json(made)
    else:
        show.note(f"silence {made['id']} holds until {show.time(made['ends_at'])}; its end will be told")


@listing.command("list")
def list_silences(
    all: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List the silences, newest first."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/silences", params={"ended": None if all else "false", "limit": limit})
    if json:
        show.as_json(found)
        return
    rows = [
        (
            str(one["id"]),
            show.status(one["status"]),
            show.time(one["starts_at"]),
            show.time(one["ends_at"]),
            one["author"],
            one["match"],
            one["comment"],
        )
        for one in found["items"]
    ]
    show.table(("id", "state", "from", "until", "by", "match", "why"), rows, empty="no silences")


@listing.command("remove")
def remove_silence(id: SilenceId, json: Json = False) -> None:
    """End a silence now; what still stands is loud again."""
    from service.cli import client, show

    answer = client.ask("DELETE", f"/v1/silences/{id}")
    if json:
        show.as_json(answer)
    else:
        show.note(f"silence {id} has ended")


def _would(preview: dict[str, Any]) -> str:
    from service.cli import show

    told = show.count(preview["notifications"], "notification")
    return f"in the last 7 days it would have hushed {show.count(preview['incidents'], 'incident')}, {told}"


def _show_preview(preview: dict[str, Any]) -> None:
    from service.cli import show

    show.note(_would(preview))
    rows = [
        (show.time(one["opened_at"]), show.severity(one["severity"]), one["app"], one["rule"], one["title"])
        for one in preview["examples"]
    ]
    show.table(("opened", "severity", "app", "rule", "title"), rows, empty="nothing")
