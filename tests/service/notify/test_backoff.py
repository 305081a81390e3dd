from datetime import UTC, datetime, timedelta

import pytest

from service.notify.backoff import next_try, read_retry_after

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(hours=24)


def wait_s(failures: int, *, chance: float = 0.0, retry_after: float | None = None) -> float:
    asked = None if retry_after is None else timedelta(seconds=retry_after)
    due_at = next_try(NOON, failures=failures, give_up_at=TOMORROW, retry_after=asked, chance=chance)
    assert due_at is not None
    return (due_at - NOON).total_seconds()


def test_waits_double_from_five_seconds_and_stay_within_an_hour() -> None:
    waits = [wait_s(failures) for failures in range(1, 13)]

    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 2880, 2880]


def test_chance_adds_up_to_a_quarter_and_never_passes_the_hour() -> None:
    assert wait_s(1, chance=0.5) == 5.625
    assert wait_s(1000, chance=0.999999) <= 3600


def test_what_the_receiver_asks_for_lengthens_a_wait_and_never_shortens_it() -> None:
    assert wait_s(1, retry_after=90) == 90
    assert wait_s(5, retry_after=1) == 80


def test_a_delivery_that_fails_for_a_day_is_tried_some_35_times_and_then_given_up() -> None:
    now: datetime | None = NOON
    failures = 0
    while now is not None:
        failures += 1
        now = next_try(now, failures=failures, give_up_at=TOMORROW, retry_after=None, chance=0.5)

    assert 30 <= failures <= 40


def test_a_try_that_would_come_after_the_day_is_over_is_not_made() -> None:
    almost = TOMORROW - timedelta(seconds=4)

    assert next_try(almost, failures=1, give_up_at=TOMORROW, retry_after=None, chance=0.0) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Mon, 11 May 2026 12:00:30 GMT", 30),
        ("Mon, 11 May 2026 12:00:30 -0000", 30),
        ("Mon, 11 May 2026 11:59:00 GMT", 0),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_bounded(value: str, seconds: float) -> None:
    assert read_retry_after(value, NOON) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "²", "Mon, 99 May 2026 12:00:30 GMT"])
def test_a_retry_after_that_nobody_can_read_asks_for_nothing(value: str | None) -> None:
    assert read_retry_after(value, NOON) is None
