from datetime import UTC, datetime, timedelta

import pytest

from parsers.frame import read_lines
from parsers.octet_counting import octet_counted
from service.cli.logplex.pieces import (
    TARGET_BYTES,
    Piece,
    as_in_a_shield_space,
    moved,
    piece_of,
    speaker_of,
    stamp,
    take_frame,
)
from vocabulary import message

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
LINE = piece_of(message("app", "web.1", "hello  [a] - b\nand more", NOON))


def test_a_piece_knows_its_own_time_and_who_speaks() -> None:
    assert (LINE.at, speaker_of(LINE)) == (NOON, "web.1")
    assert piece_of(octet_counted(b"<190>1 never host app web.1 - x")).at is None


def test_a_frame_holds_up_to_100_kib_and_one_message_at_least() -> None:
    small, large = Piece(b"x" * (TARGET_BYTES // 2), None), Piece(b"x" * (TARGET_BYTES + 1), None)

    assert take_frame([small, small, small], 0) == 2
    assert take_frame([small, small, small], 0, 1) == 1
    assert take_frame([large, small], 0) == 1
    assert take_frame([LINE] * 2000, 0) == 1024
    assert take_frame([], 0) == 0


def test_a_moved_line_has_another_time_and_the_same_text() -> None:
    (before,) = read_lines(LINE.wire, NOON)
    (after,) = read_lines(moved(LINE, timedelta(seconds=-1.5)).wire, NOON)

    assert (after.ts, after.text) == (NOON - timedelta(seconds=1.5), before.text)


def test_in_a_shield_space_a_line_has_structured_data_and_reads_the_same() -> None:
    shielded = as_in_a_shield_space(LINE)

    assert shielded.wire.endswith(b" shuttle app web.1 - - hello  [a] - b\nand more\n")
    assert list(read_lines(shielded.wire, NOON)) == list(read_lines(LINE.wire, NOON))


def test_bytes_that_are_no_message_are_left_as_they_are() -> None:
    junk = Piece(b"junk", None, False)

    assert moved(junk, timedelta(1)) == as_in_a_shield_space(junk) == junk


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "00+00:00"), (500_000, "00.5+00:00"), (962_140, "00.96214+00:00"), (1, "00.000001+00:00")]
)
def test_times_are_written_with_trailing_zeros_removed(micros: int, text: str) -> None:
    assert stamp(NOON.replace(microsecond=micros)) == f"2026-05-11T12:00:{text}"
