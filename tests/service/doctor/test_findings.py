"""Facts → findings: each is found where it is so, and nothing where all is well."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parsers.event import Severity
from service.doctor import FINDINGS, Facts, findings, saw
from service.doctor.facts import Store
from service.store.backlog import Stage
from service.store.condition import Damaged, Server, Spooled
from service.store.drain_counts import DrainCounts
from service.store.drains import Drain
from service.store.endpoints import EndpointRow
from service.store.workers import Workers
from vocabulary import NOON

DOCS = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()


def before(**span: float) -> datetime:
    return NOON - timedelta(**span)


def drain(*, created_at: datetime = NOON - timedelta(days=9), **counts: Any) -> Drain:
    counted = DrainCounts(**{"heard_at": before(minutes=1), "skew_ms": 700, **counts})
    return Drain(3, 1, "shop", "production", None, created_at, None, counted)


def webhook(**differs: Any) -> EndpointRow:
    values = {
        "match": "",
        "types": None,
        "allow_private": False,
        "disabled_reason": None,
        "created_at": NOON,
        **differs,
    }
    return EndpointRow(7, "https://hooks.example.com/CANARY", "whsec_CANARY", None, None, "standard", **values)


WELL = Store(
    server=Server("18.1", 180_001, NOON),
    missing=[],
    workers=Workers(2, NOON),
    stages=[Stage("fold", 9, 0.4), Stage("fan_out", 0, 0.0), Stage("deliver", 2, 3.0)],
    overdue=0,
    spooled=[],
    drains=[drain()],
    damaged=[],
    endpoints=[webhook()],
)


def facts(url: str = "https://logs.example.com", now: datetime = NOON, **differs: Any) -> Facts:
    return Facts(now, url, replace(WELL, **differs))


# What is so → the finding's name, how bad, a word of what it says, and of what to type.
FOUND: list[tuple[Facts, str, str, str, str]] = [
    (Facts(NOON, "https://x.example.com", away="connection refused"), "database_away", "critical", "refused", "psql"),
    (Facts(NOON, "https://x.example.com", schema="revision 0009"), "database_schema", "critical", "0009", "migrate"),
    (facts(server=Server("14.9", 140_009, NOON)), "old_postgres", "error", "14.9", "pg:upgrade"),
    (facts(missing=["events_2026_w20"]), "partitions_missing", "error", "events_2026_w20", "worker"),
    (facts(now=NOON + timedelta(seconds=9)), "clocks_apart", "warning", "9 s ahead of", "timedatectl"),
    (facts(now=NOON - timedelta(seconds=9)), "clocks_apart", "warning", "9 s behind", "timedatectl"),
    (facts("http://127.0.0.1:8000"), "local_url", "info", "127.0.0.1", "DRAINWATCH_PUBLIC_URL"),
    (facts(workers=Workers(0, before(hours=3))), "no_worker", "critical", "3 h ago", "drainwatch worker"),
    (facts(workers=Workers(0, None)), "no_worker", "critical", "none has run", "drainwatch worker"),
    (
        facts(stages=[Stage("fold", 50, 90.0)]),
        "fold_lags",
        "error",
        "50 chunks wait to be folded, the oldest for 90",
        "worker",
    ),
    (facts(stages=[Stage("fan_out", 1, 400.0)]), "fan_out_lags", "error", "6 min", "worker"),
    (facts(stages=[Stage("deliver", 8, 61.0)]), "delivery_lags", "error", "8 deliveries are due", "webhook list"),
    (facts(overdue=1), "deliveries_overdue", "error", "1 delivery should", "worker"),
    (
        facts(spooled=[Spooled("w1", before(minutes=5), before(seconds=1))]),
        "spool_waits",
        "warning",
        "5 min ago",
        "doctor",
    ),
    (
        facts(spooled=[Spooled("w1", before(days=2), before(days=2))]),
        "spool_waits",
        "error",
        "last seen 2 d",
        "DRAINWATCH_SPOOL",
    ),
    (facts(drains=[]), "no_drain", "warning", "no drain", "drain add"),
    (facts(drains=[drain(heard_at=None)]), "drain_never_heard", "warning", "added 9 d ago", "heroku drains --app shop"),
    (facts(drains=[drain(heard_at=before(hours=2))]), "drain_not_heard", "warning", "2 h ago", "heroku ps --app shop"),
    (
        facts(drains=[drain(refusals={"401": 4, "413": 1}, refused_at=before(hours=2))]),
        *("drain_refused", "error", "401 (4 so far), 413 (1 so far)", "drain rotate 3"),
    ),
    (facts(drains=[drain(lost=812, lost_at=before(hours=5))]), "drain_lost", "warning", "812 lines", "code:L10"),
    (facts(drains=[drain(skew_ms=600_000)]), "lines_late", "warning", "10 min old", "tail --app shop"),
    (facts(drains=[drain(skew_ms=-600_000)]), "lines_late", "warning", "10 min ahead", "tail --app shop"),
    (
        facts(damaged=[Damaged("shop", 2, "no LEN")]),
        "quarantined",
        "warning",
        "2 stretches of shop",
        "/v1/quarantine?app=shop",
    ),
    (facts(endpoints=[]), "no_webhook", "warning", "no webhook", "webhook add"),
    (
        facts(endpoints=[webhook(disabled_reason="it answered 410")]),
        "webhook_disabled",
        "error",
        "410",
        "webhook enable 7",
    ),
    (
        facts(endpoints=[webhook(failing_since=before(hours=4))]),
        "webhook_failing",
        "warning",
        "4 h ago",
        "webhook test 7",
    ),
]


def test_where_all_is_well_nothing_is_found_and_it_is_said_what_was_looked_at() -> None:
    assert findings(facts()) == []
    assert saw(facts()) == [
        "PostgreSQL 18.1",
        "2 workers",
        "1 drain, 1 heard within the hour",
        "1 webhook, 1 enabled",
        "11 waiting, 0 overdue",
    ]


@pytest.mark.parametrize(
    ("so", "name", "severity", "what", "type"), FOUND, ids=lambda one: one if isinstance(one, str) else ""
)
def test_what_is_wrong_is_found_with_why_and_what_to_type(
    so: Facts, name: str, severity: str, what: str, type: str
) -> None:
    (found,) = findings(so)

    assert (found.name, found.severity.label) == (name, severity)
    assert what in found.what
    assert found.why
    assert any(type in line for line in found.type), found.type
    assert "CANARY" not in repr(found)


def test_every_finding_is_tested_and_documented() -> None:
    assert {name for _, name, *_ in FOUND} == set(FINDINGS)
    assert [name for name in FINDINGS if f"| `{name}` |" not in DOCS] == []


@pytest.mark.parametrize(
    "so",
    [
        facts(drains=[drain(created_at=before(minutes=5), heard_at=None)]),  # just added
        facts(
            drains=[drain(lost=812, lost_at=before(days=2), refusals={"401": 1}, refused_at=before(days=2))]
        ),  # long over
        facts(spooled=[Spooled("w1", before(seconds=20), NOON)]),
        facts(now=NOON + timedelta(seconds=2)),
    ],
)
def test_what_is_as_it_should_be_is_no_finding(so: Facts) -> None:
    assert findings(so) == []


def test_the_worst_stands_first() -> None:
    found = findings(
        facts("http://localhost", drains=[], overdue=3, workers=Workers(0, None), missing=["chunks_2026_05_14"])
    )

    assert [one.name for one in found] == [
        "partitions_missing",
        "no_worker",
        "deliveries_overdue",
        "no_drain",
        "local_url",
    ]
    assert found[0].severity == Severity.CRITICAL  # nobody is there to make it
