"""What begins and does not end: a promotion that stays in deploying."""

import pytest

from folding import counts, found, promotion
from vocabulary import router_line

STARTED = promotion("started", "12:00")


def test_it_opens_when_the_time_is_over_and_the_lines_on_their_way_have_come() -> None:
    assert found("stuck_promotion", STARTED, until="12:30:09") == []
    assert found("stuck_promotion", STARTED, until="12:30:10") == ["42 critical 12:30"]


def test_a_later_line_of_any_sort_moves_the_clock() -> None:
    assert found("stuck_promotion", batches=[[STARTED], [router_line("12:30:10")]]) == ["42 critical 12:30"]


@pytest.mark.parametrize(
    "end",
    [
        promotion("deployed", "12:29:59", state="deployed"),
        promotion("failed", "12:29:59", state="failed"),
        promotion("rolled_back", "12:29:59", state="rolled_back"),
        promotion("ops_complete", "12:29:59", state="whatever"),
    ],
    ids=["deployed", "failed", "rolled back", "ops_complete"],
)
def test_an_end_in_time_opens_nothing(end: bytes) -> None:
    assert found("stuck_promotion", STARTED, end, until="20:00") == []


def test_an_end_of_the_very_same_instant_ends_it() -> None:
    assert found("stuck_promotion", STARTED, promotion("deployed", "12:00", state="deployed"), until="20:00") == []


def test_an_end_on_its_way_when_the_time_was_over_still_counts() -> None:
    late = promotion("deployed", "12:29:58", state="deployed")
    assert found("stuck_promotion", batches=[[STARTED], [router_line("12:30:05")], [late]], until="20:00") == []


def test_the_end_of_another_promotion_does_not_count() -> None:
    other = promotion("deployed", "12:01", state="deployed", number=43)
    assert found("stuck_promotion", STARTED, other, until="20:00") == ["42 critical 12:30"]


def test_a_promotion_that_says_again_that_it_deploys_is_as_old_as_its_first_line() -> None:
    again = [promotion("retry", "12:10"), promotion("retry", "12:25")]
    assert found("stuck_promotion", STARTED, *again, until="20:00") == ["42 critical 12:30"]
    assert counts("stuck_promotion", STARTED, *again, promotion("retry", "12:31")) == [4]


def test_its_end_resolves_it() -> None:
    end = promotion("ops_complete", "12:47", state="deployed")
    assert found("stuck_promotion", STARTED, end) == ["42 critical 12:30 to 12:47"]


def test_a_promotion_that_begins_again_after_its_end_is_timed_anew() -> None:
    story = [STARTED, promotion("failed", "12:10", state="failed"), promotion("started", "12:20")]
    assert found("stuck_promotion", *story, until="20:00") == ["42 critical 12:50"]


def test_an_end_without_a_beginning_is_nothing() -> None:
    assert found("stuck_promotion", promotion("deployed", "12:00", state="deployed"), until="20:00") == []
