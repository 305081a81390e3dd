import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from service.cli.logplex import Habits, Node, Piece, piece_of
from service.errors import DrainwatchError
from vocabulary import message

from ..receiver import Said, receiver

LINE = piece_of(message("app", "web.1", "hello"))
QUICK = Habits(answer_s=0.1)


def node(url: str, habits: Habits | None = None) -> Node:
    return Node(url, app="shop", secret="s3cret", habits=habits)


def lines(*numbers: int) -> list[Piece]:
    return [piece_of(message("app", "web.1", f"line {number}")) for number in numbers]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)


async def test_a_frame_looks_as_logplex_sends_it() -> None:
    async with receiver() as here:
        await node(here.url).post([LINE, LINE])

    (got,) = here.got
    assert got.request == "POST /drain HTTP/1.1"
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
async def test_a_frame_that_is_not_taken_is_sent_three_times_with_one_id_over_new_connections(
    answers: list[int],
) -> None:
    async with receiver(answers) as here:
        sender = node(here.url)
        taken = await sender.post([LINE])

    assert taken
    assert (len(here.got), here.connections) == (3, 3)
    assert len({got.header("Logplex-Frame-Id") for got in here.got}) == 1
    assert (sender.tally.repeats, sender.tally.lost_messages) == (2, 0)
    assert sender.tally.answers == {**dict.fromkeys(answers, answers.count(answers[0])), 204: 1}


async def test_after_three_tries_the_frame_is_lost_and_the_next_begins_with_how_much() -> None:
    async with receiver([503, 503, 503]) as here:
        sender = node(here.url)
        taken = await sender.post([LINE, LINE])
        await sender.post([LINE])
        await sender.post([LINE])

    assert not taken
    lost, next_one = here.got[-2:]
    assert b"host heroku logplex - Error L10 (output buffer overflow): 2 messages dropped since " in lost.body
    assert lost.body.endswith(LINE.wire)
    assert (lost.header("Logplex-Msg-Count"), next_one.header("Logplex-Msg-Count")) == ("2", "1")
    assert next_one.body == LINE.wire


async def test_the_loss_is_stamped_anew_with_each_try_and_told_until_a_frame_is_taken() -> None:
    async with receiver([400, 503, 400]) as here:
        sender = node(here.url)
        for _ in range(3):
            await sender.post([LINE])

    said = [re.search(rb"> ?1 (\S+) .*: (\d+) messages dropped since (\S+)\.", got.body) for got in here.got[1:]]
    assert [found and int(found[2]) for found in said] == [1, 1, 2]
    assert len({found and found[1] for found in said}) == 3
    assert len({found and found[3] for found in said}) == 1


async def test_a_4xx_loses_the_frame_at_once_and_keeps_the_connection() -> None:
    async with receiver([401]) as here:
        sender = node(here.url)
        taken = await sender.post([LINE])
        await sender.post([LINE])

    assert (taken, len(here.got), here.connections, sender.tally.lost_messages) == (False, 2, 1, 1)


CHUNKED = b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
CLOSED = b"HTTP/1.1 204 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "tries_of_the_next"),
    [(CHUNKED, 2), (CLOSED, 1), (b"HTTP/1.0 200 \r\ncontent-LENGTH: 2\r\n\r\nok", 1)],
    ids=["chunked", "close", "1.0"],
)
async def test_an_answer_is_read_as_logplex_reads_it(answer: bytes, tries_of_the_next: int) -> None:
    async with receiver([answer]) as here:
        sender = node(here.url)
        assert await sender.post([LINE])
        assert await sender.post([LINE])

    assert len(here.got) == 1 + tries_of_the_next


@pytest.mark.parametrize("said", [None, b"HTTP/1.1 204\r\n\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 204 x\r\n"])
async def test_no_answer_in_time_or_none_that_can_be_read_costs_a_try(said: Said) -> None:
    async with receiver([said]) as here:
        sender = node(here.url, QUICK)
        assert await sender.post([LINE])

    assert (len(here.got), sender.tally.answers) == (2, {0: 1, 204: 1})


async def test_a_connection_that_the_server_has_closed_costs_a_try() -> None:
    async with receiver() as here:
        sender = node(here.url)
        await sender.post([LINE])
        here.hang_up()
        assert await sender.post([LINE])

    assert (sender.tally.repeats, here.connections) == (1, 2)


async def test_a_connection_that_was_idle_for_three_minutes_is_made_anew_and_costs_no_try() -> None:
    now = [0.0]
    async with receiver() as here:
        sender = Node(here.url, app="shop", secret="s", clock=lambda: now[0])
        for at in (0, 140, 300):
            now[0] = at
            await sender.post([LINE])

    assert (here.connections, sender.tally.repeats) == (2, 0)


async def test_five_minutes_after_the_last_success_only_ten_messages_are_left() -> None:
    now = [0.0]
    async with receiver([204, 503, 503, 503, 503]) as here:
        sender = Node(here.url, app="shop", secret="s", clock=lambda: now[0])
        for piece in lines(*range(100)):
            sender.put(piece)
        for at in (0, 100, 301):
            now[0] = at
            await sender.post([LINE])

    assert (sender.waiting, sender.tally.lost_messages) == (10, 90 + 1)


async def test_a_service_that_is_not_there_costs_no_try_and_what_gathers_goes_out_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sender = node(f"http://127.0.0.1:{unused.getsockname()[1]}/drain")
        running = asyncio.create_task(sender.run())
        for piece in lines(*range(5)):
            sender.put(piece)
        await until(lambda: sender.connect_attempts > 3)
        unused.listen()
        accepted, _ = await asyncio.get_running_loop().run_in_executor(None, unused.accept)
        with accepted:
            request = await asyncio.to_thread(_read_request, accepted)
        running.cancel()
        await sender.close()

    assert request.count(b" - line ") == 5
    assert sender.tally.lost_messages == 0


async def test_who_has_no_patience_gives_up_connecting_with_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sender = node(f"http://127.0.0.1:{unused.getsockname()[1]}/drain", Habits(connect_for_s=0.1))
        with pytest.raises(DrainwatchError, match="nothing answers at http://127"):
            await sender.post([LINE])

    assert sender.tally.lost_messages == 0


async def test_the_first_goes_alone_and_what_gathers_meanwhile_together() -> None:
    async with receiver() as here:
        sender = node(here.url)
        running = asyncio.create_task(sender.run())
        sender.put(lines(0)[0])
        await until(lambda: sender.waiting == 0)
        for piece in lines(1, 2, 3):
            sender.put(piece)
        await sender.emptied()
        running.cancel()

    assert [got.header("Logplex-Msg-Count") for got in here.got] == ["1", "3"]


async def test_what_does_not_fit_into_the_buffer_is_lost_and_announced() -> None:
    fates: list[tuple[int, bool]] = []
    async with receiver() as here:
        sender = Node(here.url, app="shop", secret="s", ended=lambda frame, taken: fates.append((len(frame), taken)))
        for piece in lines(*range(1027)):
            sender.put(piece)
        running = asyncio.create_task(sender.run())
        await sender.emptied()
        running.cancel()

    (got,) = here.got
    assert b" 3 messages dropped since " in got.body
    assert got.header("Logplex-Msg-Count") == "1025"
    assert fates == [(1, False)] * 3 + [(1024, True)]
    assert (sender.tally.messages, sender.tally.lost_messages) == (1024, 3)


async def test_a_lost_answer_makes_a_repeat_of_what_arrived() -> None:
    async with receiver() as here:
        sender = node(here.url, Habits(answers_lost=1.0))
        assert not await sender.post([LINE])

    assert len(here.got) == 3
    assert len({got.header("Logplex-Frame-Id") for got in here.got}) == 1


async def test_a_late_request_arrives_after_its_own_repeats() -> None:
    async with receiver() as here:
        sender = node(here.url, Habits(late=1.0, late_s=0.1, answer_s=0.01))
        assert not await sender.post([LINE])
        assert here.got == []
        await until(lambda: len(here.got) == 3)
        await sender.close()

    assert len({got.header("Logplex-Frame-Id") for got in here.got}) == 1


async def test_in_a_shield_space_any_answer_ends_it_and_no_loss_is_announced() -> None:
    async with receiver([0, 503]) as here:
        sender = node(here.url, Habits(shield=True))
        assert not await sender.post([LINE])
        assert await sender.post([LINE])

    assert len(here.got) == 3
    names = {got.header("X-Request-Id") for got in here.got[:2]}
    assert len(names) == 1
    assert not any(b"Error L10" in got.body for got in here.got)
    assert all(b" shuttle app web.1 - - hello\n" in got.body for got in here.got)


async def test_a_clock_that_is_ahead_stamps_its_lines_so() -> None:
    router = piece_of(message("heroku", "router", "at=info", "12:00:00"))
    async with receiver() as here:
        sender = node(here.url, Habits(skew={"router": timedelta(seconds=2)}))
        await sender.post([router, LINE])

    assert b"2026-05-11T12:00:02+00:00 host heroku router" in here.got[0].body
    assert here.got[0].body.endswith(LINE.wire)


def _read_request(accepted: socket.socket) -> bytes:
    accepted.settimeout(5)
    got = b""
    with suppress(TimeoutError):
        while got.count(b" - line ") < 5 and (part := accepted.recv(65536)):
            got += part
    return got
