import re
import socket
from datetime import UTC, datetime

import pytest

from parsers.octet_counting import octet_counted
from service.cli.logplex import TARGET_BYTES, Node, Piece, delay_s, stamp, take_frame
from service.errors import DrainwatchError

from .receiver import receiver

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
LINE = Piece(octet_counted(b"<190>1 2026-05-11T12:00:00+00:00 host app web.1 - hello\n"), NOON)


def node(url: str, **options: float) -> Node:
    return Node(url, app="shop", secret="s3cret", **options)


async def test_a_frame_looks_as_logplex_sends_it() -> None:
    async with receiver() as here:
        await node(here.url).post([LINE, LINE])

    (got,) = here.got
    assert got.request == "POST /drain HTTP/1.1"
    assert [name for name, _ in got.headers] == [
        "Host",
        "Authorization",
        "Content-Type",
        "Logplex-Msg-Count",
        "Logplex-Frame-Id",
        "Logplex-Drain-Token",
        "User-Agent",
        "Content-Length",
    ]
    assert got.header("Content-Type") == "application/logplex-1"
    assert got.header("Logplex-Msg-Count") == "2"
    assert re.fullmatch("[0-9A-F]{32}", got.header("Logplex-Frame-Id"))
    assert got.body == LINE.wire * 2


async def test_frames_go_over_one_connection_and_have_ids_of_their_own() -> None:
    async with receiver() as here:
        sender = node(here.url)
        await sender.post([LINE])
        await sender.post([LINE])

    assert here.connections == 1
    assert len({got.header("Logplex-Frame-Id") for got in here.got}) == 2


@pytest.mark.parametrize("answers", [[503, 503], [0, 429], [302, 500]])
async def test_a_frame_that_is_not_taken_is_sent_three_times_with_one_id(answers: list[int]) -> None:
    async with receiver(answers) as here:
        sender = node(here.url)
        taken = await sender.post([LINE])

    assert taken
    assert len(here.got) == 3
    assert len({got.header("Logplex-Frame-Id") for got in here.got}) == 1
    assert (sender.tally.repeats, sender.tally.lost_messages) == (2, 0)


async def test_after_three_tries_the_frame_is_lost_and_the_next_begins_with_how_much() -> None:
    async with receiver([503, 503, 503]) as here:
        sender = node(here.url)
        taken = await sender.post([LINE, LINE])
        await sender.post([LINE])

    assert not taken
    last = here.got[-1]
    assert b"host heroku logplex - Error L10 (output buffer overflow): 2 messages dropped since " in last.body
    assert last.body.endswith(LINE.wire)
    assert last.header("Logplex-Msg-Count") == "2"


async def test_a_4xx_loses_the_frame_at_once() -> None:
    async with receiver([401]) as here:
        sender = node(here.url)
        taken = await sender.post([LINE])

    assert (taken, len(here.got), sender.tally.lost_messages) == (False, 1, 1)


async def test_a_service_that_is_not_there_costs_no_try_and_in_the_end_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sender = node(f"http://127.0.0.1:{unused.getsockname()[1]}/drain", patience_s=0.1)
        with pytest.raises(DrainwatchError, match="nothing answers at http://127"):
            await sender.post([LINE])

    assert sender.tally.lost_messages == 0


def test_a_frame_holds_up_to_100_kib_and_one_message_at_least() -> None:
    small, large = Piece(b"x" * (TARGET_BYTES // 2), None), Piece(b"x" * (TARGET_BYTES + 1), None)

    assert take_frame([small, small, small], 0) == 2
    assert take_frame([large, small], 0) == 1
    assert take_frame([LINE] * 2000, 0) == 1024


def test_waiting_grows_with_each_attempt_up_to_five_seconds() -> None:
    assert [delay_s(attempt, 0.999) for attempt in (1, 2, 3, 10, 99)] == [0.0, 0.01, 0.03, 5.11, 5.11]
    assert delay_s(10, 0.0) == 0.0


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "00+00:00"), (500_000, "00.5+00:00"), (962_140, "00.96214+00:00"), (1, "00.000001+00:00")]
)
def test_times_are_written_with_trailing_zeros_removed(micros: int, text: str) -> None:
    assert stamp(NOON.replace(microsecond=micros)) == f"2026-05-11T12:00:{text}"
