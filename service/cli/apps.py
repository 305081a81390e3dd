"""apps, dynos, releases, promotions, traffic: how things stand, as the logs tell it."""

from typing import Annotated, Any

import typer

from service.cli.options import App, Environment, Json, Limit, Since, Until

app = typer.Typer()

State = Annotated[str | None, typer.Option(help="Only in this state: up, crashed, deploying, …")]


@app.command()
def apps(app: App = None, environment: Environment = None, json: Json = False) -> None:
    """Show the apps: what they run, how their dynos are, what is open."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/apps", params={"app": app, "environment": environment})
    if json:
        show.as_json(found)
        return
    rows = [
        (
            one["app"],
            one["environment"],
            show.time(one["heard_at"]),
            one["release"]["version"] if one["release"] else "–",
            ", ".join(f"{many} {state}" for state, many in sorted(one["dynos"].items())) or "–",
            "maintenance" if one["maintenance"] else "",
            show.count(one["incidents"]["count"], "incident") if one["incidents"]["count"] else "",
        )
        for one in found["items"]
    ]
    columns = ("app", "environment", "heard", "release", "dynos", "", "open")
    show.table(columns, rows, empty="no apps: `drainwatch drain add APP --environment production` adds one")


@app.command()
def dynos(app: App = None, environment: Environment = None, state: State = None, json: Json = False) -> None:
    """Show the dynos and their states."""
    from service.cli import client, show

    found = client.ask("GET", "/v1/dynos", params={"app": app, "environment": environment, "state": state})
    if json:
        show.as_json(found)
        return
    rows = [
        (
            one["app"],
            one["dyno"],
            show.status(one["state"]),
            show.time(one["since"]),
            _or_dash(one["exit_status"]),
            show.count(one["crashes"], "crash") if one["crashes"] == 1 else f"{one['crashes']} crashes",
        )
        for one in found["items"]
    ]
    show.table(("app", "dyno", "state", "since", "last exit", "in two days"), rows, empty="no dynos")


@app.command()
def releases(
    app: App = None,
    environment: Environment = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show the releases, newest first."""
    from service.cli import client, show

    params = {"app": app, "environment": environment, "since": since, "until": until, "limit": limit}
    found = client.ask("GET", "/v1/releases", params=params)
    if json:
        show.as_json(found)
        return
    rows = [
        (show.time(one["released_at"]), one["app"], one["version"], one["actor"] or "–", one["description"] or "–")
        for one in found["items"]
    ]
    show.table(("released", "app", "release", "by", "what"), rows, empty="no releases")


@app.command()
def promotions(
    app: App = None,
    environment: Environment = None,
    state: State = None,
    since: Since = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show the promotions of flags and how far they are, newest first."""
    from service.cli import client, show

    params = {"app": app, "environment": environment, "state": state, "since": since, "limit": limit}
    found = client.ask("GET", "/v1/promotions", params=params)
    if json:
        show.as_json(found)
        return
    rows = [
        (
            show.time(one["started_at"]),
            one["promotion_id"],
            _or_dash(one["flag_key"]),
            _or_dash(one["target_app"]),
            show.status(one["state"] or "–"),
            show.time(one["ended_at"]),
            one["reason"] or "",
        )
        for one in found["items"]
    ]
    columns = ("started", "id", "flag", "of app", "state", "ended", "reason")
    show.table(columns, rows, empty="no promotions")


@app.command()
def traffic(
    app: App = None,
    environment: Environment = None,
    bucket: Annotated[str, typer.Option(help="How wide a row is: 1m, 5m, 1h, …")] = "5m",
    since: Annotated[str, typer.Option(help="From then on: RFC 3339, or 15m, 2h, 7d ago.")] = "1h",
    until: Until = None,
    json: Json = False,
) -> None:
    """Show requests, errors and service times over time."""
    from service.cli import client, show

    params = {"app": app, "environment": environment, "bucket": bucket, "since": since, "until": until}
    found = client.ask("GET", "/v1/traffic", params=params)
    if json:
        show.as_json(found)
        return
    rows = [
        (
            show.time(one["at"]),
            f"{one['requests']:>8,}",
            f"{one['errors']:>6,}",
            _ms(one["p50_ms"]),
            _ms(one["p95_ms"]),
            _ms(one["p99_ms"]),
            " ".join(f"{code}:{many}" for code, many in one["by_code"].items()),
        )
        for one in found["items"]
    ]
    show.table(("from", "requests", "errors", "p50 ms", "p95 ms", "p99 ms", "codes"), rows, empty="no time at all")


def _or_dash(value: Any) -> str:
    return "–" if value is None else str(value)


def _ms(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:,.0f}':>6}"
