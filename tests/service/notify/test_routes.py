from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from service.notify.notification import Notification
from service.notify.routes import decide

INCIDENT: dict[str, Any] = {
    "id": "0190a3c0-0000-7000-8000-000000000001",
    "rule": "crash_loop",
    "key": "crash_loop/raxx-api-prod/web",
    "app": "raxx-api-prod",
    "environment": "production",
    "subject": "web",
    "severity": "critical",
    "status": "open",
    "title": "web keeps crashing in raxx-api-prod",
    "diagnosis": "The release before it changed the boot.",
    "remedies": ["heroku ps --app raxx-api-prod"],
    "opened_at": "2026-05-11T12:00:00.000000Z",
    "count": 2,
}


@dataclass(frozen=True)
class Route:
    match: str = ""
    types: tuple[str, ...] | None = None


def told(route: Route, type: str = "incident.opened", *, already: bool = False, **changes: Any) -> bool:
    notification = Notification(type, datetime(2026, 5, 11, 12, tzinfo=UTC), {**INCIDENT, **changes}, "https://d/")
    return decide(route, notification, told=already).tell


@pytest.mark.parametrize(
    "match",
    [
        "",
        "severity>=error",
        "app:raxx-* environment:production",
        "rule:crash_loop subject:web",
        "kind:incident status:open count>=2",
        '"keeps crashing"',
        "-rule:memory_quota",
        "key:crash_loop/raxx-api-prod/web",
    ],
)
def test_a_filter_speaks_of_an_incident_as_of_an_event(match: str) -> None:
    assert told(Route(match))


@pytest.mark.parametrize(
    "match", ["severity<error", "app:other", "rule:memory_quota", "-app:raxx-*", "kind:dyno_error"]
)
def test_what_a_filter_does_not_hold_is_not_told(match: str) -> None:
    assert not told(Route(match))


def test_a_type_that_an_endpoint_did_not_ask_for_is_not_told() -> None:
    route = Route(types=("incident.opened", "incident.resolved"))

    assert told(route)
    assert not told(route, "incident.acknowledged", already=True)


def test_a_resolution_is_told_where_the_opening_was_even_if_the_filter_no_longer_holds() -> None:
    assert told(Route("status:open"), "incident.resolved", already=True, status="resolved")


def test_a_resolution_is_not_told_where_the_opening_was_not() -> None:
    assert not told(Route(), "incident.resolved", status="resolved")


def test_who_asks_for_resolutions_alone_gets_those_that_the_filter_holds() -> None:
    route = Route("severity:critical", types=("incident.resolved",))

    assert told(route, "incident.resolved")
    assert not told(route, "incident.resolved", severity="warning")


def test_a_decision_says_why() -> None:
    at = datetime(2026, 5, 11, 12, tzinfo=UTC)
    decision = decide(Route("app:other"), Notification("incident.opened", at, INCIDENT, ""), told=False)

    assert decision.reason == 'its filter "app:other" does not hold'
