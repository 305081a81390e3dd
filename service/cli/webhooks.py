"""webhook add, list, test, rotate, remove, deliveries: where incidents are told."""

from typing import Annotated, Any

import typer

from service.cli.options import Json, Limit

app = typer.Typer(no_args_is_help=True, help="Where incidents are told, and what became of it.")

WebhookId = Annotated[
    int, typer.Argument(metavar="ID", help="The webhook's number, as `webhook list` shows it.", min=1)
]


@app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to POST.")],
    format: Annotated[str, typer.Option(help="The body's format.")] = "standard",
    match: Annotated[str, typer.Option(help='Only incidents that match, as in "severity>=error app:shop-*".')] = "",
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow private and loopback addresses.")
    ] = False,
    json: Json = False,
) -> None:
    """Add a webhook and print the secret that it is signed with."""
    from service.cli import client

    body = {"url": url, "format": format, "match": match, "allow_private": allow_private}
    _show_secret(client.ask("POST", "/v1/webhooks", body=body), json, "is added")


@app.command("list")
def list_webhooks(json: Json = False) -> None:
    """List the webhooks, without their secrets."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/webhooks")
    if json:
        show.as_json(found)
        return
    rows = [
        (
            str(one["id"]),
            one["format"],
            one["url"],
            one["match"] or "all",
            "enabled" if one["enabled"] else f"disabled: {one['disabled_reason']}",
        )
        for one in found["items"]
    ]
    empty = "no webhooks yet: `drainwatch webhook add URL` adds one"
    show.table(("id", "format", "url", "match", "state"), rows, empty=empty)


@app.command("test")
def try_webhook(id: WebhookId, json: Json = False) -> None:
    """Send a made-up incident, marked as a test."""
    from service.cli import client, show

    sent = client.ask("POST", f"/v1/webhooks/{id}/test")
    if json:
        show.as_json(sent)
    else:
        show.note(f"on its way as {sent['webhook_id']}; `drainwatch webhook deliveries {id}` shows what became of it")


@app.command("rotate")
def rotate_webhook(id: WebhookId, json: Json = False) -> None:
    """Give a webhook a new secret; the old one signs beside it for 24 h more."""
    from service.cli import client

    answer = client.ask("POST", f"/v1/webhooks/{id}/rotate")
    _show_secret(answer, json, "has a new secret, and the old one signs beside it for 24 h")


@app.command("remove")
def remove_webhook(id: WebhookId, json: Json = False) -> None:
    """Remove a webhook; nothing is sent there any more."""
    from service.cli import client, show

    answer = client.ask("DELETE", f"/v1/webhooks/{id}")
    if json:
        show.as_json(answer)
    else:
        show.note(f"webhook {id} is removed")


@app.command("deliveries")
def list_deliveries(id: WebhookId, limit: Limit = 20, json: Json = False) -> None:
    """Show what a webhook was sent, newest first, and what became of it."""
    from service.cli import client, show

    found = client.ask("GET", f"/v1/webhooks/{id}/deliveries", params={"limit": limit})
    if json:
        show.as_json(found)
        return
    rows = [
        (
            show.time(one["created_at"]),
            one["type"],
            show.status(one["status"]),
            str(len(one["attempts"])),
            _outcome(one["attempts"]),
            one["webhook_id"],
        )
        for one in found["items"]
    ]
    columns = ("time", "type", "status", "tries", "last answer", "webhook-id")
    show.table(columns, rows, empty="nothing was sent there yet")


def _outcome(attempts: list[dict[str, Any]]) -> str:
    if not attempts:
        return "–"
    last = attempts[-1]
    return f"{last['status']} in {last['ms']} ms" if last["status"] else str(last["error"] or "no answer")


def _show_secret(answer: Any, json: bool, what: str) -> None:
    from service.cli import show

    if json:
        show.as_json(answer)
        return
    show.note(f"webhook {answer['id']} to {answer['url']} {what}. Its signing secret is shown only now:")
    typer.echo(answer["secret"])
