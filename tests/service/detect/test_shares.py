"""A sum as a share of another one, and a sum of what is counted on: what is compared, and what ends it."""

from folding import found
from vocabulary import NOON, dropped, message, router_line, seconds_after


def minute(number: int, requests: int, errors: int) -> list[bytes]:
    """So many requests of that minute, some of which fail."""
    return [
        router_line(seconds_after(NOON, 60 * number + n * 60 / requests), status=500 if n < errors else 200)
        for n in range(requests)
    ]


def story(*minutes: tuple[int, int]) -> list[bytes]:
    return [line for number, (requests, errors) in enumerate(minutes) for line in minute(number, requests, errors)]


def test_more_than_five_percent_of_a_hundred_requests_in_five_minutes_open_error_rate() -> None:
    assert found("error_rate", *story((50, 2), (50, 4)), until="12:02:10") == ["raxx-api-prod error 12:01:59"]


def test_five_percent_are_not_more_than_five_and_ninety_nine_requests_are_too_few() -> None:
    assert found("error_rate", *story((50, 2), (50, 3)), until="12:02:10") == []
    assert found("error_rate", *story((50, 20), (49, 20)), until="12:02:10") == []


def test_requests_of_more_than_five_minutes_ago_do_not_count() -> None:
    quiet = [(1, 0)] * 4
    assert found("error_rate", *story((50, 20), *quiet, (49, 1)), until="12:06:10") == []


def test_it_ends_when_the_share_was_below_half_for_five_minutes() -> None:
    well = [(150, 0)] * 5
    ended = found("error_rate", *story((100, 10), *well), until="12:06:10")
    assert ended == ["raxx-api-prod error 12:00:59 to 12:03:59"]  # ten of 550
    few = [(5, 0)] * 7
    assert found("error_rate", *story((100, 10), *few), until="12:08:10") == [
        "raxx-api-prod error 12:00:59 to 12:05:59"
    ]


def test_without_requests_nobody_knows_whether_it_is_over() -> None:
    assert found("error_rate", *story((100, 10)), message("app", "web.1", "x", "12:40"), until="13:00") == [
        "raxx-api-prod error 12:00:59"
    ]


def test_of_losses_that_are_counted_on_the_greatest_counts_and_not_the_sum() -> None:
    counted_on = [dropped(n, "12:00", f"12:0{n // 300}") for n in (300, 600, 900)]
    assert found("drain_loss", *counted_on) == ["raxx-api-prod warning 12:01"]
    assert found("drain_loss", *counted_on, dropped(101, "12:04", "12:05")) == ["raxx-api-prod error 12:01"]
    assert found("drain_loss", *counted_on, dropped(100, "12:04", "12:05")) == ["raxx-api-prod warning 12:01"]


def test_a_loss_is_over_after_thirty_minutes_without_one() -> None:
    assert found("drain_loss", dropped(1, "11:59:59", "12:00"), until="12:30:10") == [
        "raxx-api-prod warning 12:00 to 12:30"
    ]
    assert found("drain_loss", message("heroku", "logplex", "Error L20 (Tail sessions forbidden) …", "12:00")) == []
