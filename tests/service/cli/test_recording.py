from datetime import timedelta
from pathlib import Path

import pytest

from parsers.frame import read_lines
from service.cli import recording
from service.errors import DrainwatchError
from vocabulary import NOON, at, counted, dropped, frame_of, message, router_line

BODY = frame_of(router_line("12:00:00.5", code="H12"), message("app", "web.1", "café\nand more", "12:00:01"))
PRINTED = (
    b"2026-05-11T12:00:00.5+00:00 heroku[router]: at=info\n"
    b"2026-05-11T12:00:02.123456+00:00 app[web.1]: 93 <45>1 is not a begin\n"
)


def test_a_body_is_cut_into_its_messages_byte_for_byte() -> None:
    pieces = recording.pieces_of(BODY)

    assert b"".join(piece.wire for piece in pieces) == BODY
    assert [piece.at for piece in pieces] == [at("12:00:00.5"), at("12:00:01")]


def test_damage_in_a_body_is_posted_where_it_stood_and_is_no_message() -> None:
    pieces = recording.pieces_of(b"junk " + BODY)

    assert [piece.is_message for piece in pieces] == [False, True, True]
    assert b"".join(piece.wire for piece in pieces) == b"junk " + BODY


def test_printed_lines_become_the_messages_that_they_were() -> None:
    assert not recording.is_bodies(PRINTED)
    lines = list(read_lines(b"".join(piece.wire for piece in recording.pieces_of(PRINTED)), NOON))

    assert [(line.source, line.process, line.text) for line in lines] == [
        ("heroku", "router", "at=info"),
        ("app", "web.1", "93 <45>1 is not a begin"),
    ]
    assert [line.ts for line in lines] == [at("12:00:00.5"), at("12:00:02.123456")]


@pytest.mark.parametrize("raw", [BODY, b"\n" + BODY, b"junk" + BODY, dropped(3, "12:00") + BODY])
def test_bodies_say_themselves_that_they_are_bodies(raw: bytes) -> None:
    assert recording.is_bodies(raw)


@pytest.mark.parametrize("raw", [b"", b"hello\n", PRINTED, b"\x1b[36m" + PRINTED, b"\r\n" + PRINTED])
def test_text_says_itself_that_it_is_text(raw: bytes) -> None:
    assert not recording.is_bodies(raw)


def test_rebased_lines_end_now_and_keep_their_distances() -> None:
    now = at("2026-11-24T16:00:00.123456+00:00")

    moved = recording.rebased(recording.pieces_of(BODY), now)

    lines = list(read_lines(b"".join(piece.wire for piece in moved), NOON))
    assert [line.ts for line in lines] == [now - timedelta(seconds=0.5), now]
    assert [line.text for line in lines] == [line.text for line in read_lines(BODY, NOON)]


def test_lines_without_a_time_are_left_as_they_are() -> None:
    raw = counted("<190>1 - host app web.1 - no time at all\n")

    assert recording.rebased(recording.pieces_of(raw), NOON) == recording.pieces_of(raw)


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DrainwatchError, match=r"nothing\.log cannot be read: No such file"):
        recording.read_file(tmp_path / "nothing.log")
