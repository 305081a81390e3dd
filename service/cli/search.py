"""search: the lines that were sent, as they were sent."""

import os
from collections.abc import Mapping
from typing import Any

import typer

from service.cli.options import App, Dyno, Environment, Filter, Json, Limit, Since, Until

app = typer.Typer()


@app.command()
def search(
    filter: Filter = None,
    app: App = None,
    environment: Environment = None,
    dyno: Dyno = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Search the lines, newest first."""
    import asyncio

    from service.cli import show

    params = {"q": filter, "app": app, "environment": environment, "dyno": dyno, "since": since, "until": until}
    found = asyncio.run(_search(params, limit))
    if json:
        show.as_json(found)
        return
    out = show.console()
    for line in found["items"]:
        out.print(show.line(line), soft_wrap=True)
    if not found["items"]:
        show.note("no lines")
    elif found["next_cursor"]:
        show.note(f"{show.count(len(found['items']), 'line')}; --limit or --until shows older ones")


async def _search(params: Mapping[str, object | None], limit: int) -> dict[str, Any]:
    """Page after page until there are enough or no more: each looks through as much as it can in a second."""
    from service.cli import client

    found: list[Any] = []
    cursor: str | None = None
    async with client.connect(os.environ) as asked:
        while True:
            page = await asked.call(
                "GET", "/v1/lines", params={**params, "limit": limit - len(found), "cursor": cursor}
            )
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None or len(found) >= limit:
                return {"items": found, "next_cursor": cursor}
