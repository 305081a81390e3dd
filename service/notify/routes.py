"""Who wants to be told of what: a pure decision, with its reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from parsers.event import Event, FieldValue, Severity
from parsers.filters import parse_filter, predicate
from service.notify.notification import OPENINGS, RESOLVED, Notification


class Route(Protocol):
    """What of an endpoint decides: filter text over incidents, and the types it wants (None: all)."""

    @property
    def match(self) -> str: ...
    @property
    def types(self) -> Sequence[str] | None: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to tell, and why or why not, as the end of a sentence that begins "(not) told, for"."""

    tell: bool
    reason: str


def decide(route: Route, notification: Notification, *, told: bool) -> Decision:
    """Whether `route` is told. `told`: it was told of this incident already, and not yet that it is over.

    That an incident is over is told wherever its opening was, and only there, even where the filter no longer holds. A
    route that asks for resolutions without openings is the exception: there the filter decides alone.
    """
    if route.types is not None and notification.type not in route.types:
        return Decision(False, f"its types do not include {notification.type}")
    wants_openings = route.types is None or not OPENINGS.isdisjoint(route.types)
    if notification.type == RESOLVED and wants_openings:
        return Decision(told, "the opening was told there" if told else "the opening was not told there")
    holds = any(_filter(route.match)(incident_as_event(one)) for one in notification.all_incidents)
    return Decision(holds, f'its filter "{route.match}" {"holds" if holds else "does not hold"}')


def incident_as_event(incident: Mapping[str, Any]) -> Event:
    """The incident (its JSON) as what the filter language speaks of.

    `kind` is `incident`, `source` `drainwatch`, `process` `incident`; `app`, `environment` and `severity` are the incident's;
    text is looked for in its title; `rule`, `subject`, `status`, `key`, `count`, `title` and `diagnosis` are fields.
    """
    opened_at = datetime.fromisoformat(incident["opened_at"]).astimezone(UTC)
    fields: dict[str, FieldValue] = {
        name: value
        for name in ("rule", "subject", "status", "key", "count", "title", "diagnosis")
        if isinstance(value := incident.get(name), str | int | float | bool)
    }
    return Event(
        ts=opened_at,
        received_at=opened_at,
        app=incident["app"],
        environment=incident["environment"],
        source="drainwatch",
        process="incident",
        dyno=None,
        kind="incident",
        code=None,
        severity=Severity.of(incident["severity"]),
        message=incident["title"],
        fields=fields,
    )


@lru_cache(maxsize=1024)
def _filter(text: str) -> Callable[[Event], bool]:
    return predicate(parse_filter(text))
