"""parse: drain bodies or `heroku logs` text → events as JSON lines, offline."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

app = typer.Typer()

_NO_ID = UUID(int=0)  # nothing is kept, so nothing has an id


@app.command()
def parse(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Drain bodies or `heroku logs` text; - is stdin.")
    ],
    app: Annotated[str, typer.Option(help="Whose lines they are.")] = "app",
    environment: Annotated[str, typer.Option(help="What that app is used for.")] = "production",
) -> None:
    """Read files offline and print the events in them as JSON lines, in the files' order."""
    import json

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
        for event in frame.events:
            shown = event_json(replace(event, id=_NO_ID))
            print(json.dumps({**shown, "id": None}, ensure_ascii=False))
        show.note(f"{path}: {show.count(len(frame.events), 'event')} in {show.count(frame.messages, 'line')}")
        for damage in frame.damage:
            show.note(f"{path}: {show.count(len(damage.body), 'byte')} that no line is made of: {damage.reason}")
