"""What an incident says: by what was seen, with what the events say that show it, and safe to be typed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from folding import APP, events_of, promotion, rule_named
from parsers.event import Event
from service.incidents.diagnosis import MOST, Said, diagnose
from vocabulary import NOON, api, crash, exited, message, router_line

VALUES = {"app": APP, "environment": "production", "subject": "web", "process_type": "web", "count": 2}
PROMOTED = {"target_app": "shop", "flag_var": "FLAG_DARK", "flag_key": "dark", "promotion_id": 42, "new_value": "1"}


def traceback(says: str, *, second: int = 0) -> list[bytes]:
    lines = ("Traceback (most recent call last):", '  File "/app/a.py", line 1, in <module>', "    b()", says)
    return [
        message("app", "web.1", one, NOON + timedelta(seconds=second, milliseconds=n)) for n, one in enumerate(lines)
    ]


def said(rule: str, *messages: bytes, **values: object) -> Said:
    return diagnose(rule_named(rule), {**VALUES, **values}, {APP: events_of(*messages)})


def test_a_crash_is_said_with_the_newest_exception_that_was_printed() -> None:
    loop = [exited("web.1", 1, "12:00:05"), crash("web.1", "12:00:06")]
    printed = [*traceback("ImportError: no redis"), *traceback("KeyError: 'PASSKEY_RP_ID'", second=1)]
    assert "The newest traceback says KeyError: 'PASSKEY_RP_ID'" in said("crash_loop", *printed, *loop).diagnosis
    assert "traceback" not in said("crash_loop", *loop).diagnosis


def test_a_long_exception_is_cut() -> None:
    loop = [exited("web.1", 1, "12:00:05"), crash("web.1", "12:00:06")]
    told = said("crash_loop", *traceback(f"ValueError: {'x' * 5000}"), *loop)
    assert told.diagnosis.endswith(f"ValueError: {'x' * MOST}…")


def test_who_scaled_it_down_last_is_the_one_who_is_named() -> None:
    down = [
        api("Scaled to web@0:Standard-1X", at, by=f"{who}@example.com") for at, who in (("12:00", "a"), ("12:05", "b"))
    ]
    told = said("no_web_dynos", *down, actor="a@example.com")
    assert told.diagnosis.startswith("b@example.com scaled the web dynos")
    assert told.remedies[0].startswith("Ask b@example.com whether")


@pytest.mark.parametrize("key", ["dark; rm -rf ~", "$(curl evil.example)", "`id`", "a' b", "x\ny"])
def test_what_a_log_line_says_is_one_word_in_what_is_to_be_typed(key: str) -> None:
    told = diagnose(
        rule_named("stuck_promotion"), {**VALUES, **PROMOTED, "flag_var": key, "target_app": APP}, {APP: []}
    )
    quoted = "'" + key.replace("'", "'\"'\"'") + "'"
    assert told.remedies[0].startswith(f"heroku config:get {quoted} --app {APP} ")


def test_an_events_field_does_not_say_which_app_it_is_about() -> None:
    [event] = events_of(promotion("started", "12:00"))
    other: Event = replace(
        event, fields={**event.fields, "app": "other", "target_app": "other", "reason": "FAILED: 403"}
    )
    told = diagnose(rule_named("stuck_promotion"), {**VALUES, **PROMOTED}, {APP: [other], "shop": []})
    assert told.diagnosis.startswith("The write to Heroku failed")
    assert told.remedies[0].startswith("heroku config:get FLAG_DARK --app shop ")


@pytest.mark.parametrize("status", [401, 403])
def test_a_health_check_that_is_refused_is_not_taken_for_one_that_is_down(status: int) -> None:
    refused = router_line("12:00", path="/api/system/status", status=status)
    told = said(
        "health_check_failing", refused, subject="/api/system/status", watched_path="/api/system/status", status=500
    )
    assert f"is answered {status}: the app runs and refuses" in told.diagnosis


# -- the runbook's own steps, and when they are not to be taken ---------------------------------------------------------

CONDITIONS = [
    ("stuck_promotion", "Do NOT mark the promotion deployed while the flag is not set"),
    ("webauthn_challenge_miss", "do NOT go back to the in-process store"),
    ("webauthn_memory_store", "do NOT go back to the in-process store"),
    ("webauthn_memory_store", "Do NOT ship begin-with-token without verify-with-token"),
    ("blank_app", "Do NOT scale dynos up before that"),
    ("no_web_dynos", "Do NOT scale up before that"),
    ("promotion_failed", "Do NOT mark it deployed while the reason begins with FAILED:"),
    ("boot_timeout", "Not better within 30 minutes: wake the operator"),
    ("memory_quota", "Not better within 30 minutes: wake the operator"),
    ("platform_incident", "wake the operator"),
    ("health_check_failing", "wake the operator"),
    ("deploy_failed", "wake the operator"),
]


@pytest.mark.parametrize(("rule", "condition"), CONDITIONS)
def test_a_rule_says_when_its_remedies_are_not_to_be_used(rule: str, condition: str) -> None:
    assert condition in " ".join(rule_named(rule).remedies)


def test_whichever_way_a_stuck_promotion_is_told_it_says_when_not_to_roll_forward() -> None:
    for cause in rule_named("stuck_promotion").causes:
        told = " ".join(cause.remedies or ())
        assert "Do NOT" in told, cause.diagnosis
        assert "not the new value" in told, cause.diagnosis
        assert "FAILED:" in told, cause.diagnosis


def test_nothing_that_is_to_be_typed_makes_anything_smaller() -> None:
    for rule in (rule_named("request_timeouts"), rule_named("memory_quota"), rule_named("crash_loop")):
        for remedy in (*rule.remedies, *(one for cause in rule.causes for one in cause.remedies or ())):
            assert "ps:scale web=" not in remedy
            assert "ps:type" not in remedy or "not where they are as big already" in remedy
