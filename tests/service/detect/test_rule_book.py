"""The rules in force: built-in ones, a user's own, and built-in ones retuned or switched off, also for some apps only."""

from datetime import timedelta
from typing import Any

import pytest

from parsers.event import Severity
from service.detect.crash_loop import CrashLoop
from service.detect.rule import Rule
from service.detect.rule_book import RuleBook
from service.detect.table import RuleError
from service.detect.threshold import Threshold
from service.detect.unfinished import Unfinished

OWN: dict[str, Any] = {
    "name": "declined",
    "detector": "threshold",
    "match": "kind:shop result:declined",
    "levels": [{"count": 3, "severity": "warning"}, {"count": 6, "severity": "critical"}],
    "within": "10m",
    "quiet": "5m",
    "title": "declined",
    "diagnosis": "The bank says no.",
}
BUILT_IN = [
    "crash_loop",
    "boot_timeout",
    "memory_quota",
    "request_timeouts",
    "no_web_dynos",
    "blank_app",
    "deploy_failed",
    "webauthn_challenge_miss",
    "health_check_failing",
    "error_rate",
    "drain_loss",
    "drain_silent",
    "platform_incident",
    "stuck_promotion",
    "promotion_failed",
    "webauthn_memory_store",
]


def book(*tables: dict[str, Any]) -> RuleBook:
    return RuleBook([(table, "drainwatch.toml") for table in tables])


def rule(
    name: str, *tables: dict[str, Any], app: str = "raxx-api-prod", environment: str = "production"
) -> Rule | None:
    return next((one for one in book(*tables).for_app(app, environment) if one.name == name), None)


def levels(found: Rule | None) -> list[tuple[float, str]]:
    assert found is not None
    assert isinstance(found.params, Threshold | CrashLoop)
    return [(one.count, one.severity.label) for one in found.params.levels]


def test_the_built_in_rules_are_there_without_being_told() -> None:
    assert [one.name for one in RuleBook().for_app("any-app", "staging")] == BUILT_IN


def test_a_rule_of_ones_own_stands_behind_them() -> None:
    assert [one.name for one in book(OWN).for_app("any-app", "staging")] == [*BUILT_IN, "declined"]


def test_a_built_in_rule_is_retuned_field_by_field() -> None:
    found = rule("stuck_promotion", {"name": "stuck_promotion", "within": "45m"})
    assert found is not None
    assert found.params == Unfinished(timedelta(minutes=45), Severity.CRITICAL)


@pytest.mark.parametrize(
    ("app", "environment", "count"),
    [("raxx-api-prod", "production", 6), ("raxx-console-prod", "production", 10), ("raxx-api-staging", "staging", 6)],
)
def test_for_a_glob_of_apps_only(app: str, environment: str, count: int) -> None:
    table = {"name": "request_timeouts", "app": "raxx-api-*", "count": 6}
    assert levels(rule("request_timeouts", table, app=app, environment=environment)) == [(count, "error")]


@pytest.mark.parametrize(("environment", "count"), [("production", 10), ("staging", 50)])
def test_for_one_environment_only(environment: str, count: int) -> None:
    table = {"name": "request_timeouts", "environment": "staging", "count": 50}
    assert levels(rule("request_timeouts", table, environment=environment)) == [(count, "error")]


def test_the_last_table_that_is_for_an_app_has_the_last_word() -> None:
    everywhere, here = (
        {"name": "request_timeouts", "count": 20},
        {"name": "request_timeouts", "app": "raxx-*", "count": 6},
    )
    assert levels(rule("request_timeouts", everywhere, here)) == [(6, "error")]
    assert levels(rule("request_timeouts", everywhere, here, app="shop-prod")) == [(20, "error")]
    assert levels(rule("request_timeouts", here, everywhere)) == [(20, "error")]


def test_a_rule_is_switched_off() -> None:
    assert rule("boot_timeout", {"name": "boot_timeout", "enabled": False}) is None
    off = {"name": "boot_timeout", "app": "raxx-api-staging", "enabled": False}
    assert rule("boot_timeout", off, app="raxx-api-staging") is None
    assert rule("boot_timeout", off) is not None


def test_a_rule_that_is_off_everywhere_may_be_on_for_one_app() -> None:
    tables = ({"name": "boot_timeout", "enabled": False}, {"name": "boot_timeout", "app": "raxx-*", "enabled": True})
    assert rule("boot_timeout", *tables) is not None
    assert rule("boot_timeout", *tables, app="shop-prod") is None


def test_a_rule_that_another_inhibits_can_be_switched_off() -> None:
    assert rule("request_timeouts", {"name": "request_timeouts", "enabled": False}) is None


def test_a_rule_of_some_apps_can_be_inhibited() -> None:
    cause = {"name": "crash_loop", "inhibits": ["declined"]}
    assert rule("crash_loop", cause, {**OWN, "app": "shop-*"}) is not None


def test_a_count_takes_the_place_of_levels_with_the_severity_of_their_first() -> None:
    assert levels(rule("boot_timeout", {"name": "boot_timeout", "count": 2})) == [(2, "error")]
    assert levels(rule("boot_timeout", {"name": "boot_timeout", "count": 2, "severity": "critical"})) == [
        (2, "critical")
    ]


def test_levels_take_the_place_of_a_count_and_its_severity() -> None:
    two = [{"count": 5, "severity": "warning"}, {"count": 50, "severity": "critical"}]
    assert levels(rule("request_timeouts", {"name": "request_timeouts", "levels": two})) == [
        (5, "warning"),
        (50, "critical"),
    ]


def test_a_sum_takes_the_place_of_distinct_and_the_other_way_round() -> None:
    table = {"name": "declined", "sum": "amount", "app": "shop-*"}
    found = rule("declined", {**OWN, "distinct": "buyer"}, table, app="shop-prod")
    assert found is not None
    assert isinstance(found.params, Threshold)
    assert found.params.measure.what == "sum"


def test_the_same_rules_are_read_once_for_an_app() -> None:
    rules = RuleBook()
    assert rules.for_app("a", "production") is rules.for_app("a", "production")


def test_apps_for_which_the_same_tables_hold_share_what_was_read() -> None:
    rules = book({"name": "request_timeouts", "app": "shop-*", "count": 3})
    assert rules.for_app("a", "production") is rules.for_app("b", "staging")
    assert rules.for_app("shop-a", "production") is rules.for_app("shop-b", "production")
    assert rules.for_app("shop-a", "production") is not rules.for_app("a", "production")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"count": 6}, "drainwatch.toml: rule (without a name): name: missing; expected text"),
        ({"name": 7}, "drainwatch.toml: rule (without a name): name: missing; expected text"),
        (
            {"name": "crash_lop", "count": 6},
            'drainwatch.toml: rule crash_lop: name: "crash_lop"; expected crash_loop, or a detector for a new rule',
        ),
        (
            {"name": "request_timeouts", "count": -1},
            "drainwatch.toml: rule request_timeouts: count: -1; expected a number",
        ),
        (
            {"name": "request_timeouts", "app": "nobody-*", "within": "soon"},
            'drainwatch.toml: rule request_timeouts: within: "soon"; expected a time',
        ),
        (
            {"name": "crash_loop", "inhibits": ["request_timeout"]},
            'drainwatch.toml: rule crash_loop: inhibits: "request_timeout"; expected the name of a rule',
        ),
    ],
)
def test_a_wrong_table_is_named_with_the_file_it_stands_in(table: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleError) as raised:
        book(table)
    assert str(raised.value).startswith(said)
