"""tail: events, or lines, as they arrive."""

import json as json_module
import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.cli.options import App, Code, Dyno, Environment, Filter, Json, Kind, Since

app = typer.Typer()


@app.command()
def tail(
    filter: Filter = None,
    lines: Annotated[bool, typer.Option("--lines", help="Every line, not the events alone.")] = False,
    app: App = None,
    environment: Environment = None,
    dyno: Dyno = None,
    code: Code = None,
    kind: Kind = None,
    since: Since = None,
    json: Json = False,
) -> None:
    """Follow what arrives; Ctrl-C ends it. Where it is piped it is JSON, one to a line."""
    import asyncio

    params: dict[str, object | None] = {"q": filter, "app": app, "environment": environment, "dyno": dyno}
    if not lines:
        params |= {"code": code, "kind": kind}
    elif code or kind:
        raise typer.BadParameter("lines have neither; use a filter as in 'code:H12'", param_hint="--code, --kind")
    asyncio.run(_follow("lines" if lines else "events", params, since, json=json or not sys.stdout.isatty()))


async def _follow(what: str, params: Mapping[str, object | None], since: str | None, *, json: bool) -> None:
    from service.cli import client

    async with client.connect(os.environ, to_running=True) as asked:
        # First the stream, then what was before it: what came in between is in both, and told once.
        before: set[str] = set()
        async for one in asked.follow(f"/v1/{what}/stream", params=params):
            if one is None:
                if since is not None:
                    past = await _past(asked, f"/v1/{what}", {**params, "since": since})
                    before = {item["id"] for item in past}
                    for item in past:
                        _show(item, what, json=json)
                    since = None
            elif one["id"] not in before:
                _show(one, what, json=json)


async def _past(asked: Any, path: str, params: Mapping[str, object | None]) -> list[Any]:
    """All of a list, oldest first."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = await asked.call("GET", path, params={**params, "limit": 1000, "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found[::-1]


def _show(one: Mapping[str, Any], what: str, *, json: bool) -> None:
    from service.cli import show

    if json:
        print(json_module.dumps(one, separators=(",", ":")), flush=True)
        return
    show.console().print(show.line(one) if what == "lines" else show.event(one), soft_wrap=True)
