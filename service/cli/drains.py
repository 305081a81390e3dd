"""drain add, list, rotate, remove: who may post."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import Json

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(no_args_is_help=True, help="Who may post, and the line that tells Heroku of it.")

DrainId = Annotated[int, typer.Argument(metavar="ID", help="The drain's number, as `drain list` shows it.", min=1)]


@app.command("add")
def add_drain(
    name: Annotated[str, typer.Argument(metavar="APP", help="The Heroku app's name.")],
    environment: Annotated[str, typer.Option(help="What it is used for: production, staging, …")],
    logplex_token: Annotated[
        str | None, typer.Option(help="Take frames with this Logplex-Drain-Token (d.…) alone.")
    ] = None,
    json: Json = False,
) -> None:
    """Add a drain and print the line that tells Heroku of it."""
    from service.cli import client

    body = {"app": name, "environment": environment, "logplex_token": logplex_token}
    _show_secret(client.ask("POST", "/v1/drains", body=body), json, "is added")


@app.command("list")
def list_drains(json: Json = False) -> None:
    """List the drains, without their secrets."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/drains")
    if json:
        show.as_json(found)
        return
    rows = [
        (
            str(drain["id"]),
            drain["app"],
            drain["environment"],
            show.time(drain["last_heard_at"]),
            f"{drain['frames']:,}",
            f"{drain['lines']:,}",
            f"{drain['repeats']:,}",
            _refusals(drain["refusals"]),
            f"{drain['lost']:,}",
            _skew(drain["clock_skew_ms"]),
            show.time(drain["created_at"]),
            drain["logplex_token"] or "any",
        )
        for drain in found["items"]
    ]
    empty = "no drains yet: `drainwatch drain add APP --environment production` adds one"
    show.table(_COLUMNS, rows, empty=empty)


@app.command("rotate")
def rotate_drain(id: DrainId, json: Json = False) -> None:
    """Give a drain a new secret; the old one serves for 24 h more."""
    from service.cli import client

    _show_secret(
        client.ask("POST", f"/v1/drains/{id}/rotate"), json, "has a new secret, and the old one serves for 24 h"
    )


@app.command("remove")
def remove_drain(id: DrainId, json: Json = False) -> None:
    """Remove a drain; what it brought stays."""
    from service.cli import client, show

    answer = client.ask("DELETE", f"/v1/drains/{id}")
    if json:
        show.as_json(answer)
    else:
        show.note(f"drain {id} is removed; `heroku drains:remove URL -a APP` tells Heroku")


_COLUMNS = (
    "id",
    "app",
    "environment",
    "last heard",
    "frames",
    "lines",
    "repeats",
    "refused",
    "lost",
    "skew",
    "added",
    "logplex token",
)


def _refusals(by_status: dict[str, int]) -> "str | Text":
    """`2 × 401, 7 × 413`: lines that the sender lost."""
    from rich.text import Text

    if not by_status:
        return "0"
    return Text(", ".join(f"{count:,} × {status}" for status, count in sorted(by_status.items())), style="red")


def _skew(ms: int | None) -> str:
    """How long after their own time lines come: `0.3 s`."""
    return "–" if ms is None else f"{ms / 1000:.1f} s"


def _show_secret(answer: Any, json: bool, what: str) -> None:
    from service.cli import show

    if json:
        show.as_json(answer)
        return
    show.note(
        f"drain {answer['id']} of {answer['app']} ({answer['environment']}) {what}. The secret is shown only now:"
    )
    typer.echo(answer["command"])
