"""demo: drainwatch with the samples in it, to look around in (`make run`).

The stories of `samples/scenarios` are posted to the drain endpoint as Logplex would post them, each app's one after the
other, half an hour apart, with their times moved so that the last line is now. That happens once for a home: what was
posted, with which times and secrets, stands in `HOME/demo.json`, so that a run which was ended in the middle goes on with
the very same frames (their ids make repeats harmless) and a later one finds everything there.
"""

import asyncio
import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import service
from service.errors import DrainwatchError

if TYPE_CHECKING:
    from service.cli.client import Client
    from service.cli.logplex import Piece
    from service.settings import Settings

SAMPLES = Path(service.__file__).parent.parent / "samples"
# The app that the reader's own drain is shown with.
OWN_APP = "my-app"

# Between two stories of one app: longer than the 15 minutes within which an incident reopens.
BETWEEN_STORIES = timedelta(minutes=30)
# Between two stories nothing is heard of their app, which is worth an incident, but none that a story tells of.
OF_THE_PAUSES = "drain_silent"
# Lines this far apart would have gone out in different frames.
PAUSE = timedelta(minutes=1)
# How often to ask, at 0.2 s, whether the worker has folded what was posted; it takes a second or two.
FOLD_TRIES = 60

app = typer.Typer()


@app.command()
def demo() -> None:
    """Serve with the samples posted to it, on an embedded Postgres, until Ctrl-C."""
    import uvloop

    from service.cli.serve import with_admin_token

    settings = with_admin_token()
    # What is posted here is made up: no database of anybody's is the place for it.
    settings = replace(settings, database=replace(settings.database, url=None))
    uvloop.run(_serve(settings))


@dataclass(frozen=True, slots=True)
class Story:
    """One scenario: its app, its lines, and how many incidents it opens, but those OF_THE_PAUSES."""

    app: str
    environment: str
    pieces: Sequence["Piece"]
    incidents: int


async def _serve(settings: "Settings") -> None:
    from service.app import run

    serving = asyncio.create_task(run(settings, web=True, worker=True, migrate=True))
    showing = asyncio.create_task(_show(settings))
    await asyncio.wait((serving, showing), return_when=asyncio.FIRST_COMPLETED)
    if showing.done() and showing.exception() is not None:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    elif serving.done():
        showing.cancel()
    await serving
    if showing.done():
        showing.result()


async def _show(settings: "Settings") -> None:
    """Posts what is not posted yet, and prints what was found."""
    from service.cli.client import base_url, connect

    url = base_url({**os.environ, "DRAINWATCH_URL": ""})
    environ = {"DRAINWATCH_URL": url, "DRAINWATCH_TOKEN": settings.admin_token or ""}
    stories = list(_stories(SAMPLES / "scenarios"))
    async with connect(environ) as client:
        await _answers(client)
        typer.echo(f"drainwatch serves at {settings.server.public_url}; Ctrl-C ends it")
        record = await _post_once(client, url, settings.database.home / "demo.json", stories)
        await _folded(client, record["incidents"])
        await _print(client, settings, record["command"])


async def _answers(client: "Client") -> None:
    """Returns when this very service answers: another one at the same address would not know the token."""
    while True:
        with suppress(DrainwatchError):
            await client.call("GET", "/v1/drains")
            return
        await asyncio.sleep(0.05)


def _stories(folder: Path) -> Iterator[Story]:
    """The scenarios in the order in which they happened."""
    from service.cli.recording import pieces_of

    paths = sorted(folder.glob("*.log"))
    if not paths:
        raise DrainwatchError(
            f"{folder} holds no samples; `demo` runs in a checkout of drainwatch, or where its wheel is"
        )
    read = []
    for path in paths:
        said = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
        pieces = pieces_of(path.read_bytes())
        told = [one for one in said.get("incidents", ()) if one["rule"] != OF_THE_PAUSES]
        read.append(Story(said["app"], said["environment"], pieces, len(told)))
    return iter(sorted(read, key=lambda story: _first(story.pieces)))


# -- posting ---------------------------------------------------------------------------------------------------------


async def _post_once(client: "Client", url: str, path: Path, stories: Sequence[Story]) -> Mapping[str, Any]:
    """Posts the stories unless `path` says that they are posted; gives what stands there."""
    record = _read(path) or await _begin(client, path, stories)
    if record["posted"]:
        typer.echo(f"the samples were posted on {record['now']}; `rm -r {path.parent}` starts anew")
        return record
    typer.echo(f"posting {sum(len(story.pieces) for story in stories)} lines of {SAMPLES.name}/ …")
    now = datetime.fromisoformat(record["now"])
    async with asyncio.TaskGroup() as group:
        for app in {story.app for story in stories}:
            pieces = _one_after_the_other([story.pieces for story in stories if story.app == app], now)
            group.create_task(_post(url, app, record["secrets"][app], record["now"], pieces))
    _write(path, {**record, "posted": True})
    return record


async def _begin(client: "Client", path: Path, stories: Sequence[Story]) -> dict[str, Any]:
    """A drain for each app, and one for the reader's own; written down before the first line is posted."""
    apps = {story.app: story.environment for story in stories}
    added = {
        app: await client.call("POST", "/v1/drains", body={"app": app, "environment": environment})
        for app, environment in {**apps, OWN_APP: "production"}.items()
    }
    record = {
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "posted": False,
        "incidents": sum(story.incidents for story in stories),
        "secrets": {app: drain["secret"] for app, drain in added.items()},
        "command": added[OWN_APP]["command"],
    }
    _write(path, record)
    return record


def _read(path: Path) -> dict[str, Any] | None:
    record: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return record


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """Whole or not at all, and for its owner alone: there are secrets in it."""
    draft = path.with_suffix(".draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
    draft.replace(path)


def _one_after_the_other(stories: Sequence[Sequence["Piece"]], now: datetime) -> list["Piece"]:
    """The stories' lines, moved so that the last line of the last is `now`."""
    from service.cli.recording import rebased

    laid: list[Piece] = []
    for pieces in reversed(stories):
        moved = rebased(pieces, now)
        laid = [*moved, *laid]
        now = _first(moved) - BETWEEN_STORIES
    return laid


def _first(pieces: Iterable["Piece"]) -> datetime:
    return min(piece.at for piece in pieces if piece.at)


async def _post(url: str, app: str, secret: str, salt: str, pieces: Sequence["Piece"]) -> None:
    from service.cli.logplex import Node, take_frame

    node = Node(f"{url}/drain", app=app, secret=secret)
    try:
        for begin, end in pairwise([0, *_pauses(pieces), len(pieces)]):
            at = begin
            while at < end:
                last = take_frame(pieces[:end], at)
                frame_id = hashlib.sha256(f"{salt}/{app}/{at}".encode()).hexdigest()[:32].upper()
                if not await node.post(pieces[at:last], frame_id=frame_id):
                    raise DrainwatchError(f"{app}: a sample was refused with: {node.tally.last_refusal}")
                at = last
    finally:
        await node.close()


def _pauses(pieces: Sequence["Piece"]) -> Iterator[int]:
    """The places of the lines that come a while after the one before them."""
    for place, (one, other) in enumerate(pairwise(pieces), start=1):
        if one.at and other.at and other.at - one.at > PAUSE:
            yield place


# -- showing ---------------------------------------------------------------------------------------------------------


async def _folded(client: "Client", expected: int) -> None:
    """Returns when the incidents are there that the samples say, or not in time."""
    for _ in range(FOLD_TRIES):
        found = await _all(client, "/v1/incidents")
        if sum(one["rule"] != OF_THE_PAUSES for one in found) >= expected:
            return
        await asyncio.sleep(0.2)


async def _all(client: "Client", path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await client.call("GET", path, params={"limit": 1000, "cursor": cursor})
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


async def _print(client: "Client", settings: "Settings", command: str) -> None:
    from service.access import ADMIN_TOKEN_FILE

    url = settings.server.public_url
    found = await _all(client, "/v1/incidents")
    typer.echo(f"\n{len(await _all(client, '/v1/events'))} events\n{len(found)} incidents")
    for one in found:
        place = f"{one['app']}/{one['subject']}"
        typer.echo(
            f"  {one['severity']:8}  {one['status']:8}  {one['rule']:21}  {place:32}  {url}/v1/incidents/{one['id']}"
        )
    kept = settings.database.home / ADMIN_TOKEN_FILE
    token = f"$(cat {kept})" if kept.exists() else "$DRAINWATCH_ADMIN_TOKEN"
    typer.echo(
        f"""
The API
  {url}/docs
  {url}/v1/errors
  {url}/v1/events
  {url}/v1/incidents
  curl -H "Authorization: Bearer {token}" {url}/v1/errors

The terminal
  .venv/bin/drainwatch incidents
  .venv/bin/drainwatch errors

An app of your own (DRAINWATCH_PUBLIC_URL says where Heroku reaches this service)
  {command}
"""
    )
