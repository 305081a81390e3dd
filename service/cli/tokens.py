"""token create, list, revoke: who may ask."""

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Who may ask the API, and for what.")


class ScopeName(StrEnum):
    """What a token allows."""

    read = "read"
    write = "write"
    admin = "admin"


@app.command("create")
def create_token(
    scope: Annotated[ScopeName, typer.Option(help="write holds read, admin holds both.")],
    name: Annotated[str, typer.Option(help="Who or what will use it.")] = "made on the command line",
    app: Annotated[
        list[str] | None, typer.Option(help="Only of this app, or of those that fit a glob; may be given again.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a token and print it."""
    from service.cli import client, show

    made = client.ask("POST", "/v1/tokens", body={"name": name, "scope": scope.value, **({"apps": app} if app else {})})
    if json:
        show.as_json(made)
        return
    show.note(f"token {made['id']} ({made['name']}) with scope {made['scope']}. It is shown only now:")
    typer.echo(made["token"])


@app.command("list")
def list_tokens(json: Json = False) -> None:
    """List the valid tokens, without their texts."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/tokens")
    if json:
        show.as_json(found)
        return
    rows = [
        (
            str(one["id"]),
            one["scope"],
            show.time(one["created_at"]),
            show.time(one["used_at"]),
            ", ".join(one["apps"] or ["all"]),
            one["name"],
        )
        for one in found["items"]
    ]
    empty = "no tokens yet: `drainwatch token create --scope read` makes one"
    show.table(("id", "scope", "made", "last used", "apps", "name"), rows, empty=empty)


@app.command("revoke")
def revoke_token(
    id: Annotated[int, typer.Argument(metavar="ID", help="The token's number, as `token list` shows it.", min=1)],
    json: Json = False,
) -> None:
    """Revoke a token; it is refused at once."""
    from service.cli import client, show

    answer = client.ask("DELETE", f"/v1/tokens/{id}")
    if json:
        show.as_json(answer)
    else:
        show.note(f"token {id} is revoked")
