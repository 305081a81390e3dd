from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from parsers.event import Severity
from service.notify.notification import DIGEST, DISABLED, REMINDER, SILENCE_ENDED, Notification
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
    min_severity: Severity | None = None
    escalations: bool = True
    repeat_s: int | None = None


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


def test_below_the_minimum_severity_nothing_is_told_but_the_end_of_what_was() -> None:
    route = Route(min_severity=Severity.ERROR)

    assert told(route)
    assert told(route, severity="error")
    assert not told(route, severity="warning")
    assert told(route, "incident.resolved", already=True, severity="warning")


def test_who_does_not_want_escalations_is_still_told_of_a_severity_that_rose() -> None:
    route = Route(escalations=False)
    noon = "2026-05-11T12:00:00.000000Z"

    assert not told(route, "incident.escalated", escalated_at=noon)
    assert told(route, "incident.escalated", escalated_at=None)
    assert told(route, "incident.escalated", escalated_at="2026-05-11T11:00:00.000000Z")
    assert told(Route(), "incident.escalated", escalated_at=noon)


def test_a_reminder_is_also_for_those_who_said_how_often_whatever_types_they_named() -> None:
    assert told(Route(types=("incident.opened",), repeat_s=600), REMINDER)
    assert told(Route(), REMINDER)
    assert not told(Route(types=("incident.opened",)), REMINDER)
    assert not told(Route("app:other", repeat_s=600), REMINDER)


@pytest.mark.parametrize("type", [DIGEST, SILENCE_ENDED])
def test_of_several_incidents_one_that_is_wanted_is_enough(type: str) -> None:
    at = datetime(2026, 5, 11, 12, tzinfo=UTC)
    several = Notification(
        type, at, None, "", incidents=[{**INCIDENT, "severity": "warning"}, {**INCIDENT, "app": "shop"}]
    )

    def is_told(route: Route) -> bool:
        return decide(route, several, told=False).tell

    assert is_told(Route("app:shop", min_severity=Severity.ERROR))
    assert not is_told(Route("app:raxx-*", min_severity=Severity.ERROR))
    assert is_told(Route(types=("incident.opened",))) == (type == DIGEST)
    assert not is_told(Route(types=("incident.resolved",)))


def test_that_a_webhook_is_given_up_is_told_whoever_is_told_of_openings() -> None:
    given_up = Notification(DISABLED, datetime(2026, 5, 11, 12, tzinfo=UTC), None, "", webhook={"id": 1})

    assert decide(Route("app:shop"), given_up, told=False).tell
    assert not decide(Route(types=("incident.resolved",)), given_up, told=False).tell
