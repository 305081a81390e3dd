"""parse: drain bodies or `heroku logs` text → events, offline: JSON lines in a pipe, aligned and coloured on a terminal."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from service.wire.event import EventJson

app = typer.Typer()

_NO_ID = UUID(int=0)  # nothing is kept, so nothing has an id


@app.command()
def parse(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Drain bodies or `heroku logs` text; - is stdin.")
    ],
    app: Annotated[str, typer.Option(help="Whose lines they are.")] = "app",
    environment: Annotated[str, typer.Option(help="What that app is used for.")] = "production",
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines on a terminal too.")] = False,
) -> None:
    """Read files offline and print the events in them, in the files' order: as JSON lines, or on a terminal as a table."""
    from parsers.frame import read_frame
    from parsers.line import Origin
    from service.app import reading_of
    from service.cli import recording, show
    from service.settings import read_settings
    from service.wire.event import event_json

    reading = reading_of(read_settings(os.environ))
    for path in files:
        pieces = recording.pieces_of(recording.read_file(path))
        now = datetime.now(UTC)
        frame = read_frame(b"".join(piece.wire for piece in pieces), Origin(app, environment), now, reading)
        events = (event_json(replace(event, id=_NO_ID)) for event in frame.events)
        if sys.stdout.isatty() and not json:
            _table(events)
        else:
            _json_lines(events)
        show.note(f"{path}: {show.count(len(frame.events), 'event')} in {show.count(frame.messages, 'line')}")
        for damage in frame.damage:
            show.note(f"{path}: {show.count(len(damage.body), 'byte')} that no line is made of: {damage.reason}")


def _json_lines(events: Iterable["EventJson"]) -> None:
    import json

    for event in events:
        print(json.dumps({**event, "id": None}, ensure_ascii=False))


def _table(events: Iterable["EventJson"]) -> None:
    from service.cli import show

    rows = [
        (
            f"{datetime.fromisoformat(event['ts']).astimezone():%Y-%m-%d %H:%M:%S}",
            show.severity(event["severity"]),
            event["dyno"] or event["process"],
            event["kind"],
            event["code"] or "",
            show.gist(event),
        )
        for event in events
    ]
    show.table(("time", "severity", "where", "kind", "code", "message"), rows, empty="no events")
