from datetime import UTC, datetime, timedelta

from parsers.frame import read_frame
from parsers.line import Origin
from service.cli.logplex.losses import Losses, Notice, loss_line
from tests.parsers.readings import READING

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=5)


def test_nothing_is_announced_where_nothing_was_lost() -> None:
    assert Losses().notice(NOON) is None


def test_what_left_the_buffer_is_announced_since_the_moment_of_sending() -> None:
    losses = Losses()
    losses.displaced(3)

    assert losses.notice(NOON) == Notice(3, NOON)
    assert losses.notice(LATER) == Notice(3, LATER)


def test_dropped_frames_are_announced_since_the_first_of_them() -> None:
    losses = Losses()
    losses.displaced(1)
    losses.dropped(10, NOON)
    losses.dropped(20, LATER)

    assert losses.notice(LATER) == Notice(31, NOON)


def test_a_frame_that_was_taken_clears_what_it_announced_and_no_more() -> None:
    losses = Losses()
    losses.dropped(10, NOON)
    announced = losses.notice(NOON)
    losses.displaced(2)
    losses.announced(announced)

    assert losses.notice(LATER) == Notice(2, LATER)
    losses.announced(losses.notice(LATER))
    assert losses.notice(LATER) is None


def test_the_line_is_the_one_that_is_read_as_a_loss() -> None:
    body = loss_line(Notice(31, NOON), LATER)
    frame = read_frame(body, Origin("shop", "production"), LATER, READING)

    assert body.startswith(b"143 <172>1 2026-05-11T12:00:05+00:00 host heroku logplex - Error L10 ")
    assert frame.head == len(body)
    (event,) = frame.events
    assert (event.code, event.fields["count"]) == ("L10", 31)
