"""webhook add, change, list, test, rotate, disable, enable, remove, deliveries, redeliver, verify: where incidents are told."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.options import Json, Limit

app = typer.Typer(no_args_is_help=True, help="Where incidents are told, and what became of it.")

WebhookId = Annotated[
    int, typer.Argument(metavar="ID", help="The webhook's number, as `webhook list` shows it.", min=1)
]

NONE = "none"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


Match = Annotated[str | None, typer.Option(help='Only incidents that match, as in "severity>=error app:shop-*".')]
MinSeverity = Annotated[str | None, typer.Option(metavar="SEVERITY", help="Nothing below it.")]
Types = Annotated[
    list[str] | None, typer.Option(metavar="TYPE", help="Only this, as in incident.opened; may be repeated.")
]
Escalations = Annotated[
    bool | None, typer.Option("--escalations/--no-escalations", help="What nobody acknowledged in time.")
]
Repeat = Annotated[str | None, typer.Option(metavar="TIME", help="Remind while nobody acknowledges, as in 30m or 2h.")]
Quiet = Annotated[
    str | None,
    typer.Option(metavar="HOURS", help='Only what is critical then, as in "22:00-07:00 Europe/Berlin".'),
]


@app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to POST.")],
    format: Annotated[
        str, typer.Option(help="standard, slack, pagerduty, discord, teams or apprise.", show_default=True)
    ] = "standard",
    match: Match = None,
    min_severity: MinSeverity = None,
    type: Types = None,
    escalations: Escalations = None,
    repeat: Repeat = None,
    quiet: Quiet = None,
    routing_key: Annotated[
        str | None,
        typer.Option(envvar="ROUTING_KEY", help="PagerDuty's integration key.", show_envvar=True),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow private and loopback addresses.")
    ] = False,
    json: Json = False,
) -> None:
    """Add a webhook and print the secret that it is signed with."""
    from service.cli import client

    body = {
        "url": url,
        "format": format,
        **_wishes(match, min_severity, type, escalations, repeat, quiet),
        "routing_key": routing_key,
        "allow_private": allow_private,
    }
    _show_secret(client.ask("POST", "/v1/webhooks", body=body), json, "is added")


@app.command("change")
def change_webhook(
    id: WebhookId,
    match: Match = None,
    min_severity: MinSeverity = None,
    type: Types = None,
    escalations: Escalations = None,
    repeat: Repeat = None,
    quiet: Quiet = None,
    json: Json = False,
) -> None:
    """Change what a webhook is told of; "none" ends a limit, and what is not named stays as it is."""
    from service.cli import client, show

    wishes = _wishes(match, min_severity, type, escalations, repeat, quiet)
    changed = client.ask("PATCH", f"/v1/webhooks/{id}", body=wishes)
    if json:
        show.as_json(changed)
    else:
        show.note(f"webhook {id} to {changed['url']} is told of: {_wanted(changed)}")


@app.command("list")
def list_webhooks(json: Json = False) -> None:
    """List the webhooks, without their secrets."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/webhooks")
    if json:
        show.as_json(found)
        return
    rows = [(str(one["id"]), one["format"], one["url"], _wanted(one), _state(one)) for one in found["items"]]
    empty = "no webhooks yet: `drainwatch webhook add URL` adds one"
    show.table(("id", "format", "url", "told of", "state"), rows, empty=empty)


@app.command("test")
def try_webhook(id: WebhookId, json: Json = False) -> None:
    """Send an incident of the past (or a made-up one), marked as a test."""
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


@app.command("disable")
def disable_webhook(id: WebhookId, json: Json = False) -> None:
    """Tell a webhook nothing until it is enabled; what it is owed is not sent."""
    _change(id, enabled=False, json=json)


@app.command("enable")
def enable_webhook(id: WebhookId, json: Json = False) -> None:
    """Tell a webhook again of what comes about from now on."""
    _change(id, enabled=True, json=json)


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


@app.command("redeliver")
def redeliver(
    id: Annotated[str, typer.Argument(metavar="WEBHOOK-ID", help="As `webhook deliveries` shows it.")],
    json: Json = False,
) -> None:
    """Send a delivery that is delivered or dead again, under the same webhook-id."""
    from urllib.parse import quote

    from service.cli import client, show

    queued = client.ask("POST", f"/v1/deliveries/{quote(id, safe='')}/redeliver")
    if json:
        show.as_json(queued)
    else:
        show.note(f"{queued['type']} is on its way again as {queued['webhook_id']}")


@app.command("verify")
def verify(
    body: Annotated[Path, typer.Argument(metavar="BODY", help="A file: the request's body, byte for byte.")],
    headers: Annotated[
        Path, typer.Argument(metavar="HEADERS", help="A file: the request's headers, a line each, or as JSON.")
    ],
    secret_file: Annotated[Path, typer.Option(metavar="FILE", help="A file: the webhook's secret, whsec_….")],
    any_time: Annotated[bool, typer.Option("--any-time", help="However old the request is.")] = False,
) -> int:
    """Say what is wrong with a request that a receiver refused, from files; exit status 0: nothing."""
    from datetime import UTC, datetime

    from service.notify.verify import findings, read_headers

    said = read_headers(_read(headers).decode("utf-8", "replace"))
    secret = _read(secret_file).decode("utf-8", "replace").strip()
    found = findings(_read(body), said, secret, now=datetime.now(UTC), any_time=any_time)
    for finding in found:
        typer.echo(finding)
    if not found:
        typer.echo(f"{said['webhook-id']} is good")
    return 1 if found else 0


def _read(path: Path) -> bytes:
    from service.errors import DrainwatchError

    try:
        return path.read_bytes()
    except OSError as error:
        raise DrainwatchError(f"{path} cannot be read ({error.strerror}); expected a file") from error


def _change(id: int, *, enabled: bool, json: bool) -> None:
    from service.cli import client, show

    changed = client.ask("PATCH", f"/v1/webhooks/{id}", body={"enabled": enabled})
    if json:
        show.as_json(changed)
    else:
        show.note(f"webhook {id} to {changed['url']} is {_state(changed)}")


def _wishes(
    match: str | None,
    min_severity: str | None,
    types: list[str] | None,
    escalations: bool | None,
    repeat: str | None,
    quiet: str | None,
) -> dict[str, Any]:
    """What was named, as the API wants it. "none" is no limit."""
    said = {
        "match": "" if match == NONE else match,
        "min_severity": min_severity,
        "types": NONE if types == [NONE] else types or None,
        "escalations": escalations,
        "repeat_s": NONE if repeat == NONE else _seconds(repeat),
        "quiet_hours": quiet,
    }
    return {name: None if value == NONE else value for name, value in said.items() if value is not None}


def _seconds(text: str | None) -> int | None:
    """`30m` → 1800."""
    if text is None:
        return None
    found = re.fullmatch("([0-9]{1,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time; expected one as in 30m or 2h", param_hint="--repeat")
    return int(found[1]) * _UNITS[found[2]]


def _wanted(webhook: Any) -> str:
    parts = [
        webhook["match"],
        f"from {webhook['min_severity']} on" if webhook["min_severity"] else "",
        ", ".join(webhook["types"] or ()),
        "" if webhook["escalations"] else "no escalations",
        f"reminded every {webhook['repeat_s']} s" if webhook["repeat_s"] else "",
        f"quiet {webhook['quiet_hours']}" if webhook["quiet_hours"] else "",
    ]
    return "; ".join(part for part in parts if part) or "all"


def _state(webhook: Any) -> str:
    if not webhook["enabled"]:
        return f"disabled: {webhook['disabled_reason']}"
    return f"failing since {webhook['failing_since']}" if webhook["failing_since"] else "enabled"


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
