"""A line's JSON, alone and among the lines around an event."""

from collections.abc import Iterable

from typing_extensions import TypedDict

from service.store.chunks import KeptLine, Place
from service.wire.instant import instant


class LineJson(TypedDict):
    """A line as sent. `message` is the text after the header; `process` is who wrote it, `dyno` whom it is about."""

    id: str
    ts: str
    received_at: str
    app: str
    environment: str
    source: str
    process: str
    dyno: str | None
    message: str


class ContextLineJson(LineJson):
    """A line around an event; `own` is true for the event's own line."""

    own: bool


def line_json(line: KeptLine) -> LineJson:
    """The JSON of a kept line. `id` names it among all lines; what it is made of may change."""
    return {
        "id": f"{line.place.chunk_id}-{line.place.number}",
        "ts": instant(line.ts),
        "received_at": instant(line.place.received_at),
        "app": line.app,
        "environment": line.environment,
        "source": line.source,
        "process": line.process,
        "dyno": line.dyno,
        "message": line.text,
    }


def context_json(lines: Iterable[KeptLine], own: Place) -> list[ContextLineJson]:
    """`lines` in their order, the one at `own` marked."""
    return [{**line_json(line), "own": line.place == own} for line in lines]
