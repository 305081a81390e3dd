"""Who wants to be told of what: a pure decision, with its reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from parsers.event import Event, FieldValue, Severity
from parsers.filters import parse_filter, predicate
from service.notify.notification import (
    DIGEST,
    DISABLED,
    ESCALATED,
    OPENINGS,
    REMINDER,
    RESOLVED,
    Notification,
)
from service.wire.instant import instant


class Route(Protocol):
    """What of an endpoint decides: filter text over incidents, the least severity (None: any), the types it wants (None: all),
    whether it wants escalations, and after how many seconds it is reminded (None: never)."""

    @property
    def match(self) -> str: ...
    @property
    def types(self) -> Sequence[str] | None: ...
    @property
    def min_severity(self) -> Severity | None: ...
    @property
    def escalations(self) -> bool: ...
    @property
    def repeat_s(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to tell, and why or why not, as the end of a sentence that begins "(not) told, for"."""

    tell: bool
    reason: str


def decide(route: Route, notification: Notification, *, told: bool) -> Decision:
    """Whether `route` is told. `told`: it was told of this incident already, and not yet that it is over.

    That an incident is over is told wherever its opening was, and only there, even where the filter no longer holds. A
    route that asks for resolutions without openings is the exception: there the filter decides alone. Of several incidents it
    is enough that one is wanted.
    """
    if not _asked_for(route, notification):
        return Decision(False, f"its types do not include {notification.type}")
    if _has_waited(notification) and not route.escalations:
        return Decision(False, "it does not want escalations")
    if notification.type == RESOLVED and _wants_openings(route):
        return Decision(told, "the opening was told there" if told else "the opening was not told there")
    if not notification.all_incidents:
        return Decision(True, "it is about no incident")
    severe = [one for one in notification.all_incidents if _is_severe(route, one)]
    if not severe:
        return Decision(False, f"its minimum severity is {route.min_severity.label if route.min_severity else 'none'}")
    holds = any(_filter(route.match)(incident_as_event(one)) for one in severe)
    return Decision(holds, f'its filter "{route.match}" {"holds" if holds else "does not hold"}')


def wants(route: Route, incident: Mapping[str, Any]) -> bool:
    """Whether an incident (its JSON) is one that `route` is told of, whatever comes about with it."""
    return _is_severe(route, incident) and _filter(route.match)(incident_as_event(incident))


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


def _asked_for(route: Route, notification: Notification) -> bool:
    """Whether the type is one that it asked for. Who asks for openings has asked for those of a storm too, and for endpoints
    that are given up; who says how often has asked for reminders."""
    if notification.type == REMINDER and route.repeat_s is not None:
        return True
    if route.types is None or notification.type in route.types:
        return True
    return notification.type in (DIGEST, DISABLED) and _wants_openings(route)


def _wants_openings(route: Route) -> bool:
    return route.types is None or not OPENINGS.isdisjoint(route.types)


def _has_waited(notification: Notification) -> bool:
    """Whether it is an escalation since nobody acknowledged the incident; a severity that rose is told to everybody."""
    incident = notification.incident or {}
    return notification.type == ESCALATED and incident.get("escalated_at") == instant(notification.at)


def _is_severe(route: Route, incident: Mapping[str, Any]) -> bool:
    return route.min_severity is None or Severity.of(incident["severity"]) >= route.min_severity


@lru_cache(maxsize=1024)
def _filter(text: str) -> Callable[[Event], bool]:
    return predicate(parse_filter(text))
