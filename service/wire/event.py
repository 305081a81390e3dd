"""An event's JSON: the same in the API, the stream and a webhook's evidence."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from parsers.event import Event
from service.wire.instant import instant
from service.wire.line import ContextLineJson


class EventJson(TypedDict):
    """A line that means something. `ts` is the line's own time; `process` is who wrote it, `dyno` whom it is about."""

    id: str
    ts: str
    received_at: str
    app: str
    environment: str
    source: str
    process: str
    dyno: str | None
    kind: str
    code: str | None
    severity: str
    message: str
    fields: Mapping[str, Any]
    flags: list[str]


class EventWithContextJson(EventJson):
    """An event and the lines around it of the same dyno: up to 20 before and 20 after, in the order they came."""

    context: list[ContextLineJson]


def event_json(event: Event) -> EventJson:
    """The JSON of an event that is kept: one without an `id` is not, and a ValueError."""
    if event.id is None:
        raise ValueError(f"an event of kind {event.kind} is not kept yet and has no id; expected a stored one")
    return {
        "id": str(event.id),
        "ts": instant(event.ts),
        "received_at": instant(event.received_at),
        "app": event.app,
        "environment": event.environment,
        "source": event.source,
        "process": event.process,
        "dyno": event.dyno,
        "kind": event.kind,
        "code": event.code,
        "severity": event.severity.label,
        "message": event.message,
        "fields": dict(event.fields),
        "flags": list(event.flags),
    }
