"""How the demo lays its stories into the past."""

from datetime import timedelta

from service.cli.demo import _one_after_the_other, _pauses
from service.cli.recording import pieces_of
from vocabulary import NOON, router_line

STORY = pieces_of(router_line("12:00") + router_line("12:00:30") + router_line("12:05"))
OTHER = pieces_of(router_line("2026-01-01T08:00+00:00") + router_line("2026-01-01T08:01+00:00"))


def test_the_last_line_of_the_last_story_is_now() -> None:
    assert _one_after_the_other([OTHER, STORY], NOON)[-1].at == NOON


def test_a_story_ends_half_an_hour_before_the_next_begins_and_keeps_its_pace() -> None:
    times = [piece.at for piece in _one_after_the_other([OTHER, STORY], NOON)]
    before = [timedelta(minutes=36), timedelta(minutes=35), timedelta(minutes=5), timedelta(minutes=4, seconds=30)]
    assert times == [*(NOON - one for one in before), NOON]


def test_a_pause_of_more_than_a_minute_begins_a_frame() -> None:
    assert list(_pauses(STORY)) == [2]
