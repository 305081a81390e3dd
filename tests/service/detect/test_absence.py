"""What came and comes no more; and what is no silence."""

from datetime import datetime, timedelta
from typing import Any

from folding import found, shop
from vocabulary import NOON, api, message, router_line, state

SYNC: dict[str, Any] = {
    "name": "no_sync",
    "detector": "absence",
    "match": "kind:shop",
    "within": "2h",
    "severity": "error",
    "title": "no sync",
    "diagnosis": "no sync",
}


def chatter(minutes: int, *, since: datetime = NOON, every: int = 1) -> list[bytes]:
    """A line in each of so many minutes."""
    return [message("app", "web.1", "x", since + timedelta(minutes=every * n)) for n in range(minutes)]


def test_what_came_once_and_comes_no_more_within_the_time_is_absent_until_it_comes() -> None:
    assert found(SYNC, until="15:00") == []
    assert found(SYNC, shop("sync", "12:00"), until="14:00:11") == ["raxx-api-prod error 14:00"]
    assert found(SYNC, shop("sync", "12:00"), shop("sync", "14:00"), until="15:00") == []
    assert found(SYNC, shop("sync", "12:00"), shop("sync", "14:30"), until="15:00") == [
        "raxx-api-prod error 14:00 to 14:30"
    ]


def test_a_drain_that_was_heard_in_ten_of_fifteen_minutes_and_then_not_for_fifteen_is_silent() -> None:
    assert found("drain_silent", *chatter(10), until="12:25:10.1") == ["raxx-api-prod warning 12:24:59"]
    assert found("drain_silent", *chatter(10), until="12:25:09") == []
    assert found("drain_silent", *chatter(9), until="14:00") == []
    assert found("drain_silent", *chatter(20, every=2), until="14:00") == []


def test_it_is_over_when_the_drain_is_heard_again() -> None:
    again = message("app", "web.1", "x", "13:00:30")
    assert found("drain_silent", *chatter(12), again, until="13:02") == ["raxx-api-prod warning 12:26:59 to 13:00:59"]


def test_after_a_silence_it_must_be_heard_often_again_before_it_is_missed() -> None:
    again = [message("app", "web.1", "x", "13:00:30"), message("app", "web.1", "x", "13:01:30")]
    assert len(found("drain_silent", *chatter(12), *again, until="15:00")) == 1


def test_an_app_that_is_scaled_to_nothing_is_not_silent_until_it_is_scaled_up() -> None:
    down = api("Scaled to web@0:Standard-1X worker@0:Standard-1X", "12:12:30")
    assert found("drain_silent", *chatter(13), down, until="16:00") == []
    one_off = state("run.1", "starting", "up", "13:00")
    assert (
        found("drain_silent", *chatter(13), down, one_off, *chatter(12, since=NOON + timedelta(hours=1)), until="16:00")
        == []
    )
    up = api("Scaled to web@1:Standard-1X worker@0:Standard-1X", "14:00")
    speaking = chatter(12, since=NOON + timedelta(hours=2))
    assert found("drain_silent", *chatter(13), down, up, *speaking, until="16:00") == ["raxx-api-prod warning 14:26:59"]


def test_one_process_type_that_is_scaled_to_nothing_does_not_excuse_the_others() -> None:
    down = api("Scaled to web@0:Standard-1X worker@1:Standard-1X", "12:12:30")
    assert found("drain_silent", *chatter(13), down, until="16:00") == ["raxx-api-prod warning 12:27:59"]


def test_an_app_that_sleeps_is_not_silent() -> None:
    asleep = message("heroku", "web.1", "Idling", "12:12:30")
    assert found("drain_silent", *chatter(13), asleep, until="16:00") == []


def test_scaled_down_in_silence_ends_it() -> None:
    down = api("Scaled to web@0:Standard-1X", "12:50:30")
    assert found("drain_silent", *chatter(12), down, router_line("13:00")) == [
        "raxx-api-prod warning 12:26:59 to 12:50:30"
    ]
