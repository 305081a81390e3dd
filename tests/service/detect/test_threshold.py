"""So many within a time: what is counted, what makes it worse, what ends it."""

from typing import Any

import pytest

from folding import counts, found, shop
from vocabulary import memory_quota, router_line

DECLINED: dict[str, Any] = {
    "name": "declined",
    "detector": "threshold",
    "match": "kind:shop result:declined",
    "count": 3,
    "within": "10m",
    "severity": "error",
    "quiet": "5m",
    "title": "{count} payments declined in {app}",
    "diagnosis": "The bank says no.",
}


def declined(*times: str, **fields: object) -> list[bytes]:
    return [shop("payment", time, result="declined", **fields) for time in times]


def paid(*times: str) -> list[bytes]:
    return [shop("payment", time, result="paid") for time in times]


def without(name: str, **fields: object) -> dict[str, Any]:
    """DECLINED with `fields` instead of the field `name`."""
    return {key: value for key, value in DECLINED.items() if key != name} | fields


# -- the beginning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("12:00", "12:05"), []),
        (("12:00", "12:05", "12:09:59"), ["raxx-api-prod error 12:09:59"]),
        (("12:00", "12:05", "12:10"), []),
        (("12:00", "12:05", "12:10", "12:14"), ["raxx-api-prod error 12:14"]),
    ],
    ids=["too few", "enough", "the first is too old by then", "any three"],
)
def test_it_opens_when_the_count_is_reached_within_the_time(times: tuple[str, ...], expected: list[str]) -> None:
    assert found(DECLINED, *declined(*times)) == expected
    assert found({**DECLINED, "quiet": "20m"}, *declined(*times)) == expected


def test_what_does_not_match_is_not_counted() -> None:
    assert found(DECLINED, *declined("12:00", "12:01"), *paid("12:02", "12:03")) == []


def test_a_key_is_counted_on_its_own() -> None:
    rule = {**DECLINED, "key": "bank"}
    story = [*declined("12:00", "12:01", bank="alpha"), *declined("12:02", "12:03", "12:04", bank="beta")]
    assert found(rule, *story) == ["beta error 12:04"]


def test_an_event_without_the_key_is_nothing_to_the_rule() -> None:
    assert found({**DECLINED, "key": "bank"}, *declined("12:00", "12:01", "12:02", "12:03")) == []


def test_the_key_may_be_the_dyno() -> None:
    lines = [router_line(f"12:0{n}", code="H12", dyno=f"web.{1 + n % 2}") for n in range(5)]
    rule = {**DECLINED, "match": "code:H12", "key": "dyno"}
    assert found(rule, *lines) == ["web.1 error 12:04"]


def test_levels_raise_the_severity_of_the_one_incident() -> None:
    levels = [{"count": 2, "severity": "warning"}, {"count": 4, "severity": "critical"}]
    rule = {key: value for key, value in DECLINED.items() if key not in ("count", "severity")} | {"levels": levels}
    story = declined("12:00", "12:01", "12:02", "12:03", "12:04")
    assert found(rule, *story[:3]) == ["raxx-api-prod warning 12:01"]
    assert found(rule, *story) == ["raxx-api-prod critical 12:01"]


def test_severity_never_falls_while_it_is_on() -> None:
    levels = [{"count": 1, "severity": "warning"}, {"count": 3, "severity": "critical"}]
    rule = {key: value for key, value in DECLINED.items() if key not in ("count", "severity")} | {"levels": levels}
    story = declined("12:00", "12:01", "12:02", "12:06", "12:10")
    assert found({**rule, "within": "3m"}, *story) == ["raxx-api-prod critical 12:00"]


def test_a_sum_of_a_field_may_be_what_counts() -> None:
    rule = {**DECLINED, "sum": "amount", "count": 100}
    assert found(rule, *declined("12:00", amount=60), *declined("12:01", amount=39.5)) == []
    assert found(rule, *declined("12:00", amount=60), *declined("12:01", amount=40)) == ["raxx-api-prod error 12:01"]


def test_the_number_of_distinct_values_may_be_what_counts() -> None:
    rule = {**DECLINED, "distinct": "buyer"}
    same, others = (
        declined("12:00", "12:01", "12:02", buyer=7),
        [*declined("12:03", buyer=8), *declined("12:04", buyer=9)],
    )
    assert found(rule, *same) == []
    assert found(rule, *same, *others) == ["raxx-api-prod error 12:04"]


def test_the_number_of_distinct_minutes_may_be_what_counts() -> None:
    rule = {**DECLINED, "distinct": "minute"}
    assert found(rule, *declined("12:00:01", "12:00:30", "12:00:59", "12:01")) == []
    assert found(rule, *declined("12:00:59", "12:01", "12:01:59", "12:02")) == ["raxx-api-prod error 12:02"]


def test_one_event_of_the_worst_sort_is_enough_at_once() -> None:
    assert found("memory_quota", memory_quota("web.1", "12:00", code="R15")) == ["web critical 12:00"]


def test_r14_in_three_minutes_of_ten_is_a_warning_that_r15_makes_critical() -> None:
    r14s = [memory_quota("web.1", f"12:0{n}") for n in (0, 4, 9)]
    assert found("memory_quota", *r14s) == ["web warning 12:09"]
    assert found("memory_quota", *r14s, memory_quota("web.1", "12:10", code="R15")) == ["web critical 12:09"]


def test_ten_h12_in_five_minutes_open_request_timeouts() -> None:
    h12s = [router_line(f"12:0{n // 3}:{10 + 15 * (n % 3)}", code="H12") for n in range(10)]
    assert found("request_timeouts", *h12s[:9]) == []
    assert found("request_timeouts", *h12s) == ["raxx-api-prod error 12:03:10"]


# -- the end ---------------------------------------------------------------------------------------------------------

OPEN = declined("12:00", "12:01", "12:02")


def test_it_ends_when_none_came_for_the_quiet_time() -> None:
    assert found(DECLINED, *OPEN, until="12:07:09") == ["raxx-api-prod error 12:02"]
    assert found(DECLINED, *OPEN, until="12:07:10") == ["raxx-api-prod error 12:02 to 12:07"]


def test_each_further_one_puts_the_end_off_and_is_counted() -> None:
    story = [*OPEN, *declined("12:06", "12:10")]
    assert found(DECLINED, *story, until="13:00") == ["raxx-api-prod error 12:02 to 12:15"]
    assert counts(DECLINED, *story) == [5]


def test_after_the_end_it_counts_from_nothing() -> None:
    story = [*OPEN, *declined("12:08", "12:09")]
    assert found(DECLINED, *story, until="13:00") == ["raxx-api-prod error 12:02 to 12:07"]
    again = [*story, *declined("12:10")]
    assert found(DECLINED, *again) == ["raxx-api-prod error 12:02 to 12:07", "raxx-api-prod error 12:10"]


@pytest.mark.parametrize(
    ("count", "later", "end"),
    [(10, ("12:06", "12:08"), "12:09"), (6, ("12:06",), "12:07:30"), (1, (), "12:05")],
    ids=["three are below a third of ten", "two are not below a third of six", "of one, none"],
)
def test_quiet_below_a_third_asks_for_fewer_than_that_within_the_quiet_time(
    count: int, later: tuple[str, ...], end: str
) -> None:
    rule = {**DECLINED, "count": count, "quiet_below": 0.3333}
    burst = [f"12:0{n // 2}:{n % 2 * 30:02d}" for n in range(count)]
    assert found(rule, *declined(*burst, *later), until="12:30")[0].endswith(f"to {end}")


def test_recovery_ends_it_at_once() -> None:
    rule = without("quiet", recovers={"match": "kind:shop result:paid"})
    assert found(rule, *OPEN, *paid("12:03")) == ["raxx-api-prod error 12:02 to 12:03"]


def test_after_a_recovery_it_counts_from_nothing() -> None:
    rule = without("quiet", recovers={"match": "kind:shop result:paid"})
    story = [*OPEN, *paid("12:03"), *declined("12:04", "12:05")]
    assert found(rule, *story) == ["raxx-api-prod error 12:02 to 12:03"]
    assert found(rule, *story, *declined("12:06"))[1:] == ["raxx-api-prod error 12:06"]


def test_recovery_before_it_opened_is_nothing() -> None:
    rule = without("quiet", recovers={"match": "kind:shop result:paid"})
    assert found(rule, *declined("12:00", "12:01"), *paid("12:01:30"), *declined("12:02"), until="20:00") == [
        "raxx-api-prod error 12:02"
    ]


def test_recoveries_are_counted_since_the_last_match() -> None:
    rule = without("quiet", recovers={"match": "kind:shop result:paid", "count": 2})
    story = [*OPEN, *paid("12:03"), *declined("12:04"), *paid("12:05", "12:06")]
    assert found(rule, *story, until="12:06:09") == ["raxx-api-prod error 12:02"]  # a match may be on its way
    assert found(rule, *story, until="12:06:10") == ["raxx-api-prod error 12:02 to 12:06"]


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        (("12:04",), "raxx-api-prod error 12:02 to 12:07"),
        (("12:20",), "raxx-api-prod error 12:02 to 12:20"),
        ((), "raxx-api-prod error 12:02"),
    ],
    ids=["quiet last", "recovery last", "quiet alone"],
)
def test_where_both_are_asked_for_both_must_hold(recovery: tuple[str, ...], expected: str) -> None:
    rule = {**DECLINED, "recovers": {"match": "kind:shop result:paid"}}
    assert found(rule, *OPEN, *paid(*recovery), until="13:00") == [expected]


def test_where_both_are_asked_for_a_match_after_the_recovery_asks_for_another() -> None:
    rule = {**DECLINED, "recovers": {"match": "kind:shop result:paid"}}
    assert found(rule, *OPEN, *paid("12:03"), *declined("12:04"), until="13:00") == ["raxx-api-prod error 12:02"]


def test_passkey_challenges_in_memory_end_after_ten_minutes_with_redis_and_none_of_memory() -> None:
    def stored(store: str, *times: str) -> list[bytes]:
        return [shop("challenge", time, store=store) for time in times]

    rule = {
        **without("quiet", quiet="10m", count=1, recovers={"match": "store:redis"}),
        "match": "store:memory",
    }
    assert found(rule, *stored("memory", "12:00"), *stored("redis", "12:01"), until="12:10:10") == [
        "raxx-api-prod error 12:00 to 12:10"
    ]
    assert found(rule, *stored("memory", "12:00"), until="13:00") == ["raxx-api-prod error 12:00"]
