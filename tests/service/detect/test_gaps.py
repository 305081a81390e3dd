"""Silence is not health: what time alone ends counts only time in which the app was heard."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folding import ORIGIN, batch_of, events_of, found, promotion, rule_named, starting
from service.detect.backtest import backtest
from service.detect.gaps import NO_GAPS, Gap, Gaps
from service.detect.history import SETTLE, History, fold
from service.detect.rule import DETECTORS
from vocabulary import NOON, api, boot_timeout, crash, dropped, memory_quota, message, router_line, up

CRASHES = [crash("web.1", "12:00"), starting("web.1", "12:00:01"), crash("web.1", "12:01"), up("web.1", "12:02")]


def h12(*times: str) -> list[bytes]:
    return [router_line(time, code="H12") for time in times]


TIMEOUTS = h12(*[f"12:00:{n:02d}" for n in range(10)])


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_time_in_which_lines_were_lost_is_no_quiet() -> None:
    assert found("request_timeouts", *TIMEOUTS, until="13:00") == ["raxx-api-prod error 12:00:09 to 12:05:06"]
    lost = dropped(40, "12:01", "12:04")
    assert found("request_timeouts", *TIMEOUTS, lost, until="13:00") == ["raxx-api-prod error 12:00:09 to 12:08:06"]


def test_nor_is_it_time_up() -> None:
    assert found("crash_loop", *CRASHES, until="13:00") == ["web critical 12:01 to 12:07"]
    lost = dropped(40, "12:03", "12:05:30")
    assert found("crash_loop", *CRASHES, lost, until="13:00") == ["web critical 12:01 to 12:09:30"]


def test_a_loss_that_is_known_only_after_the_end_does_not_undo_it() -> None:
    late = dropped(40, "12:01", "12:06")
    assert found("request_timeouts", *TIMEOUTS, late, until="13:00") == ["raxx-api-prod error 12:00:09 to 12:05:06"]


def test_what_logplex_counts_on_is_one_gap() -> None:
    lost = [dropped(n, "12:01", f"12:0{n}") for n in (2, 3, 4)]
    [one] = backtest([rule_named("request_timeouts")], [batch_of(*TIMEOUTS, *lost)], until=after(60))
    assert one.gaps == (Gap(after(1), after(4), after(4), "L10", 4),)
    assert f"{one.cleared_at:%H:%M:%S}" == "12:08:06"


def chatter(since: int, until: int) -> list[bytes]:
    return [message("app", "web.1", "x", after(n)) for n in range(since, until)]


# Heard in each minute from 11:40 to 12:03, a boot timeout at 12:00, up a second later.
BOOT = [boot_timeout("web.1", "12:00"), up("web.1", "12:00:01"), *chatter(-20, 3)]


def test_an_app_that_spoke_every_minute_and_falls_silent_is_not_getting_well() -> None:
    assert found("boot_timeout", *BOOT, *chatter(3, 8), until="12:20") == ["web error 12:00 to 12:05:01"]
    assert found("boot_timeout", *BOOT, until="18:00") == ["web error 12:00 to 12:05:01"]  # silent since 12:03 only
    assert found("boot_timeout", *BOOT[:2], *chatter(-20, 1), until="18:00") == ["web error 12:00"]


def test_once_it_is_heard_again_the_rest_of_the_time_passes() -> None:
    story = [*BOOT[:2], *chatter(-20, 1), *chatter(30, 40)]
    [one] = backtest([rule_named("boot_timeout")], [batch_of(*story)], until=after(60), origin=ORIGIN)
    assert [(gap.reason, f"{gap.since:%H:%M}", f"{gap.until:%H:%M}") for gap in one.gaps] == [
        ("silent", "12:00", "12:30")
    ]
    assert one.cleared_at is not None
    assert after(34) < one.cleared_at < after(36)


def now_and_then(since: int, until: int) -> list[bytes]:
    return [message("app", "web.1", "x", after(7 * n)) for n in range(since, until)]


def test_who_speaks_now_and_then_has_no_gaps() -> None:
    assert found("boot_timeout", *BOOT[:2], *now_and_then(-3, 1), until="18:00") == ["web error 12:00 to 12:05:01"]


def as_it_came(rule: str, *messages: bytes, until: float) -> list[str]:
    """When it was over each time, `-` where it was not: each line came at its own time, then nothing more until so many minutes
    after noon."""
    batches = [
        replace(batch_of(line), heard_at=None) for line in sorted(messages, key=lambda line: line.split(b" ")[2])
    ]
    told = backtest([rule_named(rule)], batches, until=after(until), origin=ORIGIN)
    return [f"{one.cleared_at:%H:%M:%S}" if one.cleared_at else "-" for one in told]


def test_who_speaks_now_and_then_is_not_taken_for_well_before_the_next_word() -> None:
    story = [*BOOT[:2], *now_and_then(-3, 1)]
    assert as_it_came("boot_timeout", *story, until=24 * 60) == ["-"]
    assert as_it_came("boot_timeout", *story, message("app", "web.1", "x", after(90)), until=91) == ["12:05:01"]


def test_three_minutes_after_a_word_still_count() -> None:
    for word, over in ((after(2), "-"), (after(2.1), "12:05:01")):
        assert as_it_came("boot_timeout", *BOOT[:2], message("app", "web.1", "x", word), until=60) == [over]


def test_an_end_that_waits_for_a_word_wakes_nobody_and_is_asked_for_with_the_first_word_that_is_enough() -> None:
    rule = rule_named("boot_timeout")
    marks = [found[1] for event in events_of(*BOOT[:2]) if (found := rule.mark_of(event))]
    clock, over = after(4), after(5) + timedelta(seconds=1)

    def asked(heard_at: datetime) -> tuple[datetime | None, datetime | None]:
        detector = DETECTORS[rule.detector]
        folded = fold(detector, rule.params, History(detector.empty), marks, clock=clock, heard_at=heard_at)
        return folded.wake_at, folded.forget_at

    enough = over - timedelta(minutes=3)
    late = after(10) - SETTLE + timedelta(seconds=1)
    assert asked(enough) == (over, late)
    assert asked(enough - timedelta(seconds=1)) == (None, enough - SETTLE)


def test_what_is_quiet_and_unheard_is_not_over_and_what_is_unheard_still_opens() -> None:
    swapping = [memory_quota("web.1", "12:00", code="R15"), message("app", "web.1", "x", after(1))]
    assert as_it_came("memory_quota", *swapping, until=24 * 60) == ["-"]
    assert len(as_it_came("stuck_promotion", promotion("started", "12:00"), until=31)) == 1


def test_who_is_scaled_away_is_not_waited_for() -> None:
    scaled = api("Scaled to web@0:Standard-1X worker@0:Standard-1X", "12:01")
    swapping = memory_quota("web.1", "12:00", code="R15")
    assert as_it_came("memory_quota", swapping, scaled, until=60) == ["12:15:00"]


def test_who_speaks_less_often_is_given_more_time_before_it_is_silent() -> None:
    swapping = [memory_quota("web.1", "12:00", code="R15")]
    each_third = [message("app", "web.1", "x", after(n)) for n in range(-30, 1, 3)]
    assert found("memory_quota", *swapping, *each_third, until="18:00") == ["web critical 12:00"]
    again = [message("app", "web.1", "x", after(n)) for n in range(60, 90, 3)]
    [one] = backtest([rule_named("memory_quota")], [batch_of(*swapping, *each_third, *again)], origin=ORIGIN)
    assert [(gap.reason, f"{gap.since:%H:%M}", f"{gap.until:%H:%M}", f"{gap.known_at:%H:%M}") for gap in one.gaps] == [
        ("silent", "12:00", "13:00", "12:10")
    ]
    assert f"{one.cleared_at:%H:%M}" == "13:15"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_gaps_are_the_same_in_any_batches(size: int) -> None:
    story = [*BOOT[:2], *chatter(-20, 1), *chatter(30, 40), dropped(7, "12:31", "12:33")]
    in_order = sorted(story, key=lambda line: line.split(b" ")[2])
    batches = [in_order[n : n + size] for n in range(0, len(in_order), size)]
    assert found("boot_timeout", batches=batches, until="13:00") == found("boot_timeout", *story, until="13:00")


# -- the arithmetic --------------------------------------------------------------------------------------------------

_MINUTES = st.integers(0, 100)
_LOSSES = st.lists(st.tuples(_MINUTES, _MINUTES, st.integers(0, 20)), max_size=6)


@given(_LOSSES, _MINUTES, st.integers(1, 40))
def test_heard_time_is_what_is_left_of_the_gaps_that_are_known_by_then(
    losses: list[tuple[int, int, int]], begin: int, span: int
) -> None:
    known = tuple(
        Gap(after(since), after(since + length), after(since + length + late), "L10") for since, length, late in losses
    )
    end = Gaps(known).after(after(begin), timedelta(minutes=span))
    assert end is not None
    lost = {
        minute
        for gap in known
        if gap.known_at <= end
        for minute in range(begin, 400)
        if gap.until and gap.since <= after(minute) < min(gap.until, end)
    }
    assert end == after(begin + span + len(lost))


def test_while_nobody_hears_it_no_time_passes() -> None:
    silent = NO_GAPS.fell_silent(after(0), after(3))
    assert silent.after(after(1), timedelta(minutes=5)) is None
    assert silent.after(after(-10), timedelta(minutes=12)) == after(2)  # over before anybody knew
    assert silent.heard(after(30)).after(after(-1), timedelta(minutes=5)) == after(34)
