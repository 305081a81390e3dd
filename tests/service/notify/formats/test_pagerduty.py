"""What PagerDuty makes of an incident's steps hangs on the action and the key."""

import json
from typing import Any

import pytest

from service.notify.formats.pagerduty import render, with_routing_key
from service.notify.notification import TEST

from .documented import PAGERDUTY
from .shape import wrong
from .told import notification


def event(type: str, **changes: Any) -> Any:
    return json.loads(render(notification(type, **changes)))


@pytest.mark.parametrize(
    ("type", "action"),
    [
        ("incident.opened", "trigger"),
        ("incident.reopened", "trigger"),
        ("incident.escalated", "trigger"),
        ("incident.reminder", "trigger"),
        ("incident.acknowledged", "acknowledge"),
        ("incident.resolved", "resolve"),
    ],
)
def test_the_steps_of_an_incident_are_one_alert(type: str, action: str) -> None:
    assert (event(type)["event_action"], event(type)["dedup_key"]) == (action, "crash_loop/raxx-api-prod/web")


def test_a_test_touches_no_real_alert() -> None:
    assert event(TEST)["dedup_key"] == "test/crash_loop/raxx-api-prod/web"


def test_long_keys_stay_apart_and_stay_the_same() -> None:
    one, other = (event("incident.opened", key="x" * 300 + end)["dedup_key"] for end in "ab")

    assert one != other
    assert len(one) <= 255
    assert event("incident.resolved", key="x" * 300 + "a")["dedup_key"] == one


def test_the_routing_key_is_put_in_as_it_is_sent() -> None:
    payload = render(notification("incident.opened"))
    sent = json.loads(with_routing_key(payload, "0123456789abcdef0123456789abcdef"))

    assert "routing_key" not in json.loads(payload)
    assert sent == {"routing_key": "0123456789abcdef0123456789abcdef", **json.loads(payload)}
    assert wrong(sent, PAGERDUTY) == []
