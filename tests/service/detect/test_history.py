"""Lines come late, unordered and in any batches; what is found depends on none of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folding import batch_of, events_of, found, promotion, rule_named, shop, starting
from parsers.event import Event
from service.detect.app_fold import marks_of
from service.detect.backtest import Batch, Occurrence, backtest
from service.detect.history import LATENESS, MOST_MARKS, SETTLE, History, fold
from service.detect.rule import DETECTORS, Rule
from service.incidents.states import is_of, read_history, write_history
from service.store.rule_states import RuleState
from vocabulary import NOON, api, boot_timeout, crash, dropped, message, router_line, seconds_after, state, up

PAYMENTS: dict[str, Any] = {
    "name": "declined",
    "detector": "threshold",
    "match": "kind:shop result:declined",
    "levels": [{"count": 2, "severity": "warning"}, {"count": 4, "severity": "critical"}],
    "within": "3m",
    "quiet": "4m",
    "title": "declined",
    "diagnosis": "declined",
}
DYNO = ("crashed", "starting", "up", "down", "R10", "H10")
SHOP = ("paid", "declined")
NO_SALE: dict[str, Any] = {
    "name": "no_sale",
    "detector": "absence",
    "match": "kind:shop result:paid",
    "within": "4m",
    "regular": 0.5,
    "paused": {"match": "kind:shop result:closed", "until": "kind:shop result:opened"},
    "severity": "warning",
    "title": "no sale",
    "diagnosis": "no sale",
}
ON_PURPOSE = {"match": "result:closed", "until": "result:opened", "severity": "info"}
# Each rule with the lines that it knows, so that a story is dense in what could confuse it.
WATCHED = {
    "crash_loop": (rule_named("crash_loop"), DYNO),
    "boot_timeout": (rule_named("boot_timeout"), DYNO),
    "stuck_promotion": (rule_named("stuck_promotion"), ("deploying", "deployed", "failed")),
    "promotion_failed": (rule_named("promotion_failed"), ("deployed", "failed")),
    "levels": (rule_named("declined", PAYMENTS), SHOP),
    "recovers": (
        rule_named("declined", {**PAYMENTS, "recovers": {"match": "kind:shop result:paid", "count": 2}}),
        SHOP,
    ),
    "no_web_dynos": (rule_named("no_web_dynos"), ("H14", "H14", "H14", "to 0", "to 1", "up")),
    "deploy_failed": (rule_named("deploy_failed"), ("build failed", "deploy", "release")),
    "challenge": (rule_named("webauthn_challenge_miss"), ("missed", "missed", "missed", "popped", "answered")),
    "blank_app": (rule_named("blank_app"), ("H81", "initial", "deploy", "up")),
    "no_sale": (rule_named("no_sale", NO_SALE), ("paid", "paid", "paid", "closed", "opened")),
    "on_purpose": (
        rule_named("declined", {**PAYMENTS, "on_purpose": ON_PURPOSE}),
        ("declined", "declined", "closed", "opened"),
    ),
    "apart": (
        rule_named(
            "declined",
            {
                **PAYMENTS,
                "at_once": {"match": "result:closed", "severity": "warning"},
                "recovers": {"match": "result:opened"},
            },
        ),
        ("declined", "declined", "closed", "opened"),
    ),
    "losses": (rule_named("drain_loss"), ("L10",)),
    "minutes": (rule_named("declined", {**PAYMENTS, "distinct": "minute", "quiet_below": 0.9}), SHOP),
}
of_each_rule = pytest.mark.parametrize(("rule", "words"), WATCHED.values(), ids=WATCHED)


def challenge(what: str, ts: str | datetime) -> bytes:
    """A challenge of WebAuthn: missed and answered are what the router says, popped is the app's."""
    if what == "popped":
        return message("app", "web.1", "webauthn.challenge_popped store=redis user_id=7", ts)
    path, status = "/api/auth/register/verify-with-token", 400 if what == "missed" else 200
    return router_line(ts, method="POST", path=path, status=status, service="1ms")


def _line(what: str, dyno: str, ts: datetime) -> bytes:
    match what:
        case "crashed":
            return crash(dyno, ts, before="starting")
        case "starting":
            return starting(dyno, ts)
        case "up":
            return up(dyno, ts)
        case "down":
            return state(dyno, "up", "down", ts)
        case "R10":
            return boot_timeout(dyno, ts)
        case "H10":
            return router_line(ts, code="H10")
        case "H14" | "H81":
            return router_line(ts, code=what, dyno="")
        case "to 0" | "to 1":
            return api(f"Scaled to web@{what[-1]}:Standard-1X", ts, by="user@example.com" if dyno == "web.1" else "")
        case "build failed":
            return api("Build failed", ts, by="")
        case "deploy":
            return api("Deploy 193d1419", ts)
        case "release" | "initial":
            return api("Initial release" if what == "initial" else "Release v9 created", ts)
        case "L10":
            return dropped(600, "12:00" if dyno == "web.1" else ts, ts)
        case "paid" | "declined" | "closed" | "opened":
            return shop("payment", ts, result=what)
        case "missed" | "popped" | "answered":
            return challenge(what, ts)
    return promotion(what, ts, number=int(dyno[-1]), state=what)


@dataclass(frozen=True, repr=False)
class Told:
    """One line of a story: its event, and how many seconds after its own time it arrives."""

    event: Event
    delay: float

    def __repr__(self) -> str:
        return f"({self.event.at:%H:%M:%S.%f} + {self.delay} s: {self.event.message})"


# Seconds between two lines: within one happening, within the disorder, and just around the times that rules know.
_GAPS = st.one_of(
    st.sampled_from([0.5, 3.0, 6.0, 59.0, 120.0, 180.0, 240.0, 294.0, 300.0, 304.0, 1795.0]),
    st.floats(0.001, 12),
    st.floats(0.001, 700),
)


@st.composite
def stories(draw: st.DrawFn, words: Sequence[str], *, latest: float = 9.999) -> list[Told]:
    """Up to 25 lines of these sorts, each at an instant of its own, in the order in which they arrive."""
    story, moment = [], 0.0
    for gap in draw(st.lists(_GAPS, min_size=1, max_size=25)):
        moment += gap
        line = _line(
            draw(st.sampled_from(words)), draw(st.sampled_from(["web.1", "web.2"])), seconds_after(NOON, moment)
        )
        story.append(Told(events_of(line)[0], draw(st.floats(0, latest))))
    return sorted(story, key=lambda one: one.event.at + timedelta(seconds=one.delay))


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    """Where a story is cut into batches."""
    return sorted(draw(st.sets(st.integers(1, 30))))


def batches(story: Sequence[Told], at: Sequence[int]) -> list[Batch]:
    """`story` in batches that begin at these places."""
    edges = [0, *at, len(story)]
    parts = [story[begin:end] for begin, end in pairwise(edges) if begin < end]
    return [Batch([one.event for one in part], max(one.event.at for one in part)) for part in parts if part]


END = seconds_after(NOON, 24 * 3600)


def found_in(rule: Rule, told: Sequence[Batch], *, until: datetime = END) -> list[Occurrence]:
    return backtest([rule], told, until=until)


@of_each_rule
@given(data=st.data())
@settings(max_examples=40)
def test_any_order_within_ten_seconds_and_any_batches_find_the_same(
    rule: Rule, words: Sequence[str], data: st.DataObject
) -> None:
    story, at = data.draw(stories(words)), data.draw(cuts())
    in_order = sorted(story, key=lambda one: one.event.at)
    assert found_in(rule, batches(story, at)) == found_in(rule, batches(in_order, range(1, len(story))))


@of_each_rule
@given(data=st.data())
@settings(max_examples=40)
def test_the_same_is_found_at_any_moment_of_the_story(rule: Rule, words: Sequence[str], data: st.DataObject) -> None:
    """Not only in the end: whatever has come by then, ten seconds later the same incidents are there."""
    story, at = data.draw(stories(words)), data.draw(cuts())
    part = story[: data.draw(st.integers(1, len(story)))]
    now = max(one.event.at for one in part) + SETTLE
    in_order = sorted(part, key=lambda one: one.event.at)
    assert found_in(rule, batches(part, at), until=now) == found_in(rule, batches(in_order, []), until=now)


@of_each_rule
@given(data=st.data())
@settings(max_examples=20)
def test_what_is_kept_between_batches_survives_its_way_through_the_store(
    rule: Rule, words: Sequence[str], data: st.DataObject
) -> None:
    for history in _histories(rule, batches(data.draw(stories(words)), data.draw(cuts()))):
        if history:
            stored = RuleState(rule.name, "any", json.loads(json.dumps(write_history(rule, history))), None)
            assert is_of(stored, rule)
            assert read_history(stored, rule) == history


@of_each_rule
@given(data=st.data())
@settings(max_examples=20)
def test_a_line_more_than_ten_minutes_late_finds_nothing(rule: Rule, words: Sequence[str], data: st.DataObject) -> None:
    told = batches(data.draw(stories(words, latest=0.0)), data.draw(cuts()))
    last, late = told[-1].newest_at, data.draw(st.integers(601, 3000))
    stray = events_of(_line(data.draw(st.sampled_from(words)), "web.1", last - timedelta(seconds=late)))
    assert found_in(rule, [*told, Batch(stray, last)]) == found_in(rule, told)


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (
            "deploy_failed",
            [
                api("Build failed", "12:00", by=""),
                api("Deploy 193d1419", "12:00:03"),
                api("Release v9 created", "12:00:05"),
                api("Build failed", "12:00:04", by=""),
            ],
        ),
        (
            "webauthn_challenge_miss",
            [
                *(challenge("missed", ts) for ts in ("12:00", "12:00:01", "12:00:02")),
                challenge("popped", "12:00:03"),
                challenge("answered", "12:00:05"),
                challenge("missed", "12:00:04"),
            ],
        ),
    ],
    ids=["deploy_failed", "webauthn_challenge_miss"],
)
def test_a_match_on_its_way_between_the_two_halves_of_a_recovery_undoes_it(rule: str, lines: list[bytes]) -> None:
    [in_time] = found(rule, batches=[lines[:-2], lines[:-3:-1], [router_line("12:01")]])
    assert "to" not in in_time
    assert found(rule, batches=[lines[:-1], lines[-1:], [router_line("12:01")]]) == [in_time]
    [without] = found(rule, batches=[lines[:-1], [router_line("12:01")]])
    assert without == f"{in_time} to 12:00:05"


def pay(result: str, ts: str) -> bytes:
    return shop("payment", ts, result=result)


@pytest.mark.parametrize(
    "told",
    [
        [pay("declined", "12:00"), pay("closed", "12:00:02")],
        [
            pay("declined", "12:00"),
            *(pay(what, f"12:00:0{n}") for n, what in [(2, "closed"), (3, "opened"), (4, "declined")]),
        ],
    ],
    ids=["info", "info and warning"],
)
def test_a_late_line_that_makes_it_worse_counts_also_where_its_batch_ends_it(told: list[bytes]) -> None:
    rule = {**PAYMENTS, "on_purpose": ON_PURPOSE}
    late, end = pay("declined", "12:00:01"), router_line("12:05")
    in_order = found(rule, batches=[[told[0], late], told[1:], [end]])
    assert in_order == [f"raxx-api-prod warning 12:00:01 to 12:04:0{4 if len(told) > 2 else 1}"]
    assert found(rule, batches=[told, [late, end]]) == in_order


def test_a_late_end_takes_the_place_of_the_one_that_was_told() -> None:
    lines = [promotion("failed", "12:00:02", state="failed"), promotion("deployed", "12:00:09", state="deployed")]
    late = promotion("deployed", "12:00:04", state="deployed")
    assert found("promotion_failed", batches=[lines, [late]]) == ["new_checkout error 12:00:02 to 12:00:04"]


def test_a_line_up_to_ten_minutes_late_counts_where_it_belongs() -> None:
    second, clock = starting("web.1", "12:00:01"), router_line("12:10")
    late = [[crash("web.1", "12:00:20"), second], [clock], [crash("web.1", "12:00:00")]]
    assert found("crash_loop", batches=late) == ["web critical 12:00:20"]
    too_late = [[crash("web.1", "12:00:20"), second], [router_line("12:10:00.1")], [crash("web.1", "12:00:00")]]
    assert found("crash_loop", batches=too_late) == []


def test_a_late_line_that_shows_it_was_not_so_ends_it() -> None:
    begun, ended = promotion("started", "12:00"), promotion("deployed", "12:25", state="deployed")
    told = found("stuck_promotion", batches=[[begun], [router_line("12:31")], [ended], [router_line("13:30")]])
    assert told == ["42 critical 12:30 to 12:31"]


def test_a_late_line_older_than_the_end_opens_nothing_again() -> None:
    loop = [crash("web.1", "12:00"), starting("web.1", "12:00:01"), crash("web.1", "12:01"), up("web.1", "12:02")]
    told = found(
        "crash_loop", batches=[loop, [router_line("12:08")], [crash("web.1", "12:06:30")], [router_line("12:09")]]
    )
    assert told == ["web critical 12:01 to 12:07"]


def test_what_a_late_line_has_undone_the_end_of_is_on_again_with_the_next_match() -> None:
    loop = [crash("web.1", "12:00"), starting("web.1", "12:00:01"), crash("web.1", "12:01"), up("web.1", "12:02")]
    late = [loop, [router_line("12:08")], [crash("web.1", "12:06:30")]]
    after = [starting("web.1", "12:08:30"), crash("web.1", "12:09")]
    assert found("crash_loop", batches=[*late, after]) == ["web critical 12:01 to 12:07", "web critical 12:01"]


def test_a_timer_is_told_ten_seconds_after_its_time_and_not_before() -> None:
    begun = promotion("started", "12:00")
    assert found("stuck_promotion", batches=[[begun], [router_line("12:30:09.999")]]) == []
    assert found("stuck_promotion", batches=[[begun], [router_line("12:30:10")]]) == ["42 critical 12:30"]


def test_a_line_from_the_future_counts_at_its_arrival() -> None:
    [event] = events_of(crash("web.1", "2036-05-11T12:00:00+00:00"))
    assert event.at == event.received_at


def test_nothing_is_kept_of_what_can_no_longer_matter() -> None:
    rule = rule_named("stuck_promotion")
    story = [promotion("started", "12:00"), promotion("deployed", "12:01", state="deployed")]
    kept = _histories(rule, [batch_of(*story), batch_of(router_line("12:11:01"))])
    assert kept[0] is not None
    assert kept[-1] is None


@pytest.mark.parametrize("seconds_apart", [0.1, 1.0])
def test_a_storm_is_kept_in_bounds(seconds_apart: float) -> None:
    rule = rule_named("request_timeouts")
    lines = [router_line(seconds_after(NOON, n * seconds_apart), code="H12") for n in range(2000)]
    last = None
    for begin in range(0, len(lines), 100):
        last = _histories(rule, [batch_of(*lines[begin : begin + 100])], history=last)[-1]
    assert last is not None
    assert len(last.marks) <= MOST_MARKS + 100
    assert last.base.alarm is not None
    assert last.base.alarm.count + len(last.marks) == 2000


def _histories(rule: Rule, told: Sequence[Batch], history: History[Any] | None = None) -> list[History[Any] | None]:
    """What is kept after each batch, of the one key that the story's first event has."""
    detector = DETECTORS[rule.detector]
    kept: list[History[Any] | None] = []
    clock: datetime | None = None
    for batch in told:
        marks = marks_of([rule], batch.events, clock)
        clock = max(clock or batch.newest_at, batch.newest_at)
        first = next(iter(marks.values()), [])
        history = fold(detector, rule.params, history or History(detector.empty), first, clock=clock).history
        kept.append(history)
    return kept


def test_lateness_leaves_room_for_what_settles() -> None:
    assert SETTLE < LATENESS


def test_an_occurrence_is_told_with_when_it_began() -> None:
    [one] = backtest([rule_named("stuck_promotion")], [batch_of(promotion("started", "12:00"))], until=END)
    assert one == Occurrence("stuck_promotion", "42", one.severity, seconds_after("12:30", 0), None, 1)
