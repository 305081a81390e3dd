"""replay: files posted to a running service as Logplex would post them.

A frame's id is made of what is in it and where that stands, so whatever was stored before is not stored again: a replay that
was interrupted, or lost a frame, is repeated as it was.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import Json
from service.errors import DrainwatchError

if TYPE_CHECKING:
    from rich.progress import Progress

    from service.cli.logplex import Node, Piece

app = typer.Typer()

_PATIENCE_S = 10.0  # a restart of the service takes less
# With --speed, what is due within so many seconds is one frame: a cut that is the same each time, whatever the service's pace.
_GATHER_S = 0.1


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Drain bodies or `heroku logs` text; - is stdin.")
    ],
    app: Annotated[str, typer.Option(help="Post as this app, which has a drain.")],
    rebase: Annotated[bool, typer.Option("--rebase", help="Move all times so that the last line is now.")] = False,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Keep the lines' pace, this many times faster; else at once.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="DRAINWATCH_DRAIN_SECRET", help="The drain's secret; else a drain is added and removed again."
        ),
    ] = None,
    logplex_token: Annotated[str | None, typer.Option(help="The Logplex-Drain-Token to post with.")] = None,
    json: Json = False,
) -> None:
    """Post files to the service at DRAINWATCH_URL (else the local one) as Logplex would.

    The same command again, within 24 hours, stores nothing twice (with --secret and without --rebase): that is how to go on
    with one that was interrupted.
    """
    from datetime import UTC, datetime

    from service.cli import recording, show
    from service.cli.client import base_url

    pieces = [piece for path in files for piece in recording.pieces_of(recording.read_file(path))]
    if rebase:
        pieces = recording.rebased(pieces, datetime.now(UTC))
    began = monotonic()
    node = asyncio.run(_replay(pieces, base_url(os.environ), app, secret, logplex_token, speed, quiet=json))
    tally, took = node.tally, monotonic() - began
    if json:
        show.as_json(asdict(tally))
    else:
        text = (
            f"{tally.messages:,} lines in {tally.frames:,} frames posted in {took:.1f} s, {tally.lost_messages:,} lost"
        )
        show.note(text)
    if tally.lost_messages:
        raise DrainwatchError(f"{tally.lost_messages:,} lines were refused, lastly with: {tally.last_refusal}")


async def _replay(
    pieces: Sequence["Piece"],
    url: str,
    app: str,
    secret: str | None,
    logplex_token: str | None,
    speed: float | None,
    *,
    quiet: bool,
) -> "Node":
    from service.cli.logplex import Habits, Node

    async with _secret(app, secret) as known:
        habits = Habits(connect_for_s=_PATIENCE_S)
        node = Node(f"{url}/drain", app=app, secret=known, drain_token=logplex_token, habits=habits)
        try:
            with _progress(quiet) as progress:
                await _post_all(node, app, pieces, speed, progress)
        finally:
            await node.close()
    return node


async def _post_all(
    node: "Node", app: str, pieces: Sequence["Piece"], speed: float | None, progress: "Progress"
) -> None:
    """Frame by frame; with `speed`, each when its last line is due."""
    from service.cli.logplex import frame_id_of

    due = _due_s(pieces, speed)
    task = progress.add_task("posting", total=len(pieces))
    began = monotonic()
    for start, end in _frames(pieces, due):
        wait = began + due[end - 1] - monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        frame = pieces[start:end]
        body = b"".join(piece.wire for piece in frame)
        await node.post(frame, frame_id=frame_id_of(app, start, body))
        progress.update(task, completed=end)


def _frames(pieces: Sequence["Piece"], due: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends: as many lines as fit, of those that are due within the same tenth of a second."""
    from service.cli.logplex import take_frame

    start = 0
    while start < len(pieces):
        end = stop = take_frame(pieces, start)
        if due[stop - 1] // _GATHER_S != due[start] // _GATHER_S:
            end = next(at for at in range(start + 1, stop) if due[at] // _GATHER_S != due[start] // _GATHER_S)
        yield start, end
        start = end


def _due_s(pieces: Sequence["Piece"], speed: float | None) -> list[float]:
    """When each piece is due, in seconds from the beginning; a line that is older than one before it is due with it."""
    if speed is None:
        return [0.0] * len(pieces)
    first = next((piece.at for piece in pieces if piece.at), None)
    due, latest = [], 0.0
    for piece in pieces:
        if piece.at and first:
            latest = max(latest, (piece.at - first).total_seconds() / speed)
        due.append(latest)
    return due


@asynccontextmanager
async def _secret(app: str, given: str | None) -> AsyncIterator[str]:
    """The secret to post with: as given, or that of a drain which is there for as long as it takes."""
    if given:
        yield given
        return
    from service.cli.client import connect

    async with connect(os.environ, to_running=True) as client:
        drains = (await client.call("GET", "/v1/drains"))["items"]
        environment = next((drain["environment"] for drain in drains if drain["app"] == app), None)
        if environment is None:
            raise DrainwatchError(
                f"{app} has no drain; `drainwatch drain add {app} --environment staging` adds one, and prints its secret"
            )
        body = {"app": app, "environment": environment}
        drain = await client.call("POST", "/v1/drains", body=body)
        try:
            yield drain["secret"]
        finally:
            await client.call("DELETE", f"/v1/drains/{drain['id']}")


def _progress(quiet: bool) -> "Progress":
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from service.cli import show

    out = show.console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal)
