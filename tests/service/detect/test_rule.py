"""A `[[rules]]` table: what is wrong in one is said by file, rule, field, value and what was expected, in one line."""

from typing import Any

import pytest

from folding import APP, BOOK, events_of, rule_named
from parsers.event import Severity
from service.detect.rule import read_rule
from service.detect.table import RuleError
from service.detect.threshold import Threshold
from vocabulary import crash, memory_quota, router_line

GOOD: dict[str, Any] = {
    "name": "declined",
    "detector": "threshold",
    "match": "kind:shop",
    "count": 3,
    "within": "10m",
    "severity": "error",
    "quiet": "5m",
    "title": "declined",
    "diagnosis": "The bank says no.",
}
LEVELS = {key: value for key, value in GOOD.items() if key not in ("count", "severity")}
SPAN = 'expected a time such as "30s", "5m", "2h" or "7d"'
SEVERITIES = "expected one of debug, info, warning, error, critical"


def level(count: float, severity: str) -> dict[str, Any]:
    return {"count": count, "severity": severity}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {**GOOD, "detector": "treshold"},
            'detector: "treshold"; expected one of threshold, unfinished, absence, crash_loop',
        ),
        ({**GOOD, "match": 5}, "match: 5; expected text"),
        ({**GOOD, "title": ""}, 'title: ""; expected text'),
        ({k: v for k, v in GOOD.items() if k != "diagnosis"}, "diagnosis: missing; expected text"),
        ({**GOOD, "count": "3"}, 'count: "3"; expected a number, 1 or more'),
        ({**GOOD, "count": 0}, "count: 0; expected a number, 1 or more"),
        ({**GOOD, "count": True}, "count: True; expected a number, 1 or more"),
        ({**GOOD, "count": float("nan")}, "count: nan; expected a number, 1 or more"),
        ({**GOOD, "count": float("inf")}, "count: inf; expected a number, 1 or more"),
        ({k: v for k, v in GOOD.items() if k != "count"}, "count: missing; expected a number, 1 or more"),
        ({**GOOD, "within": "10 minutes"}, f'within: "10 minutes"; {SPAN}'),
        ({**GOOD, "within": 600}, f"within: 600; {SPAN}"),
        ({**GOOD, "within": "0m"}, f'within: "0m"; {SPAN}'),
        ({**GOOD, "within": "9999999999d"}, 'within: "9999999999d"; expected 365d at the most'),
        ({**GOOD, "within": "400d"}, 'within: "400d"; expected 365d at the most'),
        ({k: v for k, v in GOOD.items() if k != "within"}, f"within: missing; {SPAN}"),
        ({**GOOD, "severity": "bad"}, f'severity: "bad"; {SEVERITIES}'),
        (
            {k: v for k, v in GOOD.items() if k != "quiet"},
            'quiet: missing; expected a time such as "15m", or recovers, or both: what ends the incident',
        ),
        ({**GOOD, "quiet_below": 3}, "quiet_below: 3; expected a number, from 0 to 1"),
        ({**GOOD, "sum": "a", "distinct": "b"}, 'sum: "a"; expected either sum or distinct, not both'),
        ({**GOOD, "inhibits": "crash_loop"}, 'inhibits: "crash_loop"; expected a list of texts'),
        ({**GOOD, "enabled": "no"}, 'enabled: "no"; expected true or false'),
        ({**GOOD, "app": 5}, "app: 5; expected text"),
        ({**GOOD, "serverity": "error"}, "serverity: no such field; did you mean severity?"),
        ({**GOOD, "zzz": 1}, "zzz: no such field"),
        ({**GOOD, "starts": "kind:shop"}, "starts: no such field"),
        ({**GOOD, "recovers": "paid"}, 'recovers: "paid"; expected a table'),
        ({**GOOD, "recovers": {"count": 2}}, "recovers: match: missing; expected text"),
        ({**GOOD, "recovers": {"match": "paid", "cuont": 2}}, "recovers: cuont: no such field; did you mean count?"),
        ({**GOOD, "at_once": {"match": "paid"}}, f"at_once: severity: missing; {SEVERITIES}"),
        ({**GOOD, "causes": [{"diagnosis": "so"}]}, "causes[0]: seen: missing; expected filters"),
        ({**LEVELS, "levels": 3}, "levels: 3; expected a list of tables"),
        ({**LEVELS, "levels": [level(1, "bad")]}, f'levels[0]: severity: "bad"; {SEVERITIES}'),
        (
            {**LEVELS, "severity": "error", "levels": [level(1, "error")]},
            'severity: "error"; expected none beside levels',
        ),
        (
            {**LEVELS, "levels": [level(5, "error"), level(3, "critical")]},
            "levels: ['5 error', '3 critical']; expected counts that rise, with severities that rise",
        ),
        (
            {**LEVELS, "levels": [level(3, "critical"), level(5, "error")]},
            "levels: ['3 critical', '5 error']; expected counts that rise, with severities that rise",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_was_expected(table: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleError) as raised:
        read_rule(table, file="drainwatch.toml")
    assert str(raised.value).startswith(f"drainwatch.toml: rule declined: {said}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ({**GOOD, "match": "kind:(shop"}, 'rule declined: match: "kind:(shop"; expected a filter; '),
        (
            {**GOOD, "recovers": {"match": "severity:bad"}},
            'rule declined: recovers: match: "severity:bad"; expected a filter; ',
        ),
        (
            {**GOOD, "causes": [{"diagnosis": "so", "seen": ["kind:shop", "service_ms>fast"]}]},
            'rule declined: causes[0]: seen[1]: "service_ms>fast"; expected a filter; ',
        ),
    ],
)
def test_a_wrong_filter_is_named_with_the_column(table: dict[str, Any], where: str) -> None:
    with pytest.raises(RuleError, match=r"at column \d+: expected ") as raised:
        read_rule(table, file="drainwatch.toml")
    assert where in str(raised.value)


def test_a_rule_is_read_with_its_defaults() -> None:
    rule = read_rule(GOOD, file="drainwatch.toml")
    assert (rule.name, rule.key, rule.inhibits, rule.remedies, rule.verify, rule.runbook) == (
        "declined",
        "app",
        (),
        (),
        "",
        None,
    )
    assert isinstance(rule.params, Threshold)
    assert [(one.count, one.severity) for one in rule.params.levels] == [(3, Severity.ERROR)]


def test_every_built_in_rule_says_what_to_do_how_to_verify_and_where_to_read_on() -> None:
    for rule in BOOK.for_app(APP, "production"):
        assert rule.title, rule.name
        assert rule.diagnosis, rule.name
        assert rule.remedies, rule.name
        assert rule.verify, rule.name
        assert rule.runbook == f"docs/rules.md#{rule.name}"


def test_an_event_that_is_not_kept_yet_is_nothing_to_a_rule() -> None:
    [event] = events_of(crash("web.1"))
    rule = rule_named("crash_loop")
    assert rule.mark_of(event) is not None
    assert rule.mark_of(type(event)(**{**_fields(event), "id": None})) is None


@pytest.mark.parametrize(
    ("rule", "line", "key"),
    [
        ("crash_loop", crash("web.2"), "web"),
        ("crash_loop", router_line(code="H10", dyno=""), "web"),
        ("memory_quota", memory_quota("worker.1"), "worker"),
        ("request_timeouts", router_line(code="H12", dyno="web.2"), APP),
    ],
)
def test_the_key_says_what_an_incident_is_about(rule: str, line: bytes, key: str) -> None:
    marks = [rule_named(rule).mark_of(event) for event in events_of(line)]
    assert {found[0] for found in marks if found} == {key}


def _fields(event: object) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__slots__}  # type: ignore[attr-defined]
