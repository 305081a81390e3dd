import pytest

from service.cli.logplex.buffer import Buffer
from service.cli.logplex.pieces import Piece

LINES = [Piece(b"line %d" % number, None) for number in range(1030)]


def filled(*, succeeded_at: float | None = None) -> Buffer:
    """A buffer with 1024 messages, which had a success at that time."""
    buffer = Buffer()
    if succeeded_at is not None:
        buffer.succeeded(succeeded_at)
    for piece in LINES[:1024]:
        buffer.put(piece)
    return buffer


def test_the_newest_1024_win() -> None:
    buffer = filled()

    assert buffer.put(LINES[1024]) == [LINES[0]]
    assert len(buffer) == 1024
    assert buffer.take() == LINES[1:1025]


def test_a_frame_takes_what_has_gathered_and_no_more_than_fits() -> None:
    buffer, half = Buffer(), Piece(b"x" * 51_200, None)
    for piece in (half, half, half):
        buffer.put(piece)

    assert [len(buffer.take()) for _ in range(3)] == [2, 1, 0]


def test_a_failure_five_minutes_after_the_last_success_leaves_the_newest_ten() -> None:
    buffer = filled(succeeded_at=100.0)

    assert buffer.failed(400.0) == []
    assert buffer.failed(400.1) == LINES[:1014]
    assert buffer.put(LINES[1024]) == [LINES[1014]]


def test_the_first_success_makes_room_again() -> None:
    buffer = filled(succeeded_at=100.0)
    buffer.failed(500.0)
    buffer.succeeded(501.0)

    assert [buffer.put(piece) for piece in LINES[:1014]] == [[]] * 1014
    assert len(buffer) == 1024


@pytest.mark.parametrize("after", [None, "idle"])
def test_who_never_had_a_success_or_none_since_an_idle_close_keeps_its_room(after: str | None) -> None:
    buffer = filled(succeeded_at=None if after is None else 100.0)
    if after:
        buffer.idle()

    assert buffer.failed(9999.0) == []
