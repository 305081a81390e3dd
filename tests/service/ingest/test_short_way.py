"""The usual frame's short way, beside the whole way that all others go: whichever it is, a frame is answered the same."""

import asyncio
import gc
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from door import APP, Door, basic
from processes import eventually
from service import metrics
from service.ingest import short_way
from service.ingest.endpoint import DrainEndpoint
from vocabulary import frame_of, message

TALK = frame_of(message("app", "web.1", "hello"))


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The frame ids that have gone the whole way."""
    ids: list[str] = []
    call = DrainEndpoint.__call__

    async def counted(self: DrainEndpoint, scope: Any, receive: Any, send: Any) -> None:
        ids.append(dict(scope["headers"]).get(b"logplex-frame-id", b"").decode())
        await call(self, scope, receive, send)

    monkeypatch.setattr(DrainEndpoint, "__call__", counted)
    return ids


async def known(door: Door) -> None:
    """The drain proves itself, for it may be asked about only by who has its whole way to go."""
    assert (await door.post(TALK, frame_id="first")).status_code == 204


async def gone(whole: list[str], many: int) -> None:
    """Returns when so many have gone the whole way."""

    async def count() -> int:
        return len(whole)

    await eventually(count, lambda counted: counted == many)


async def lines_of(door: Door) -> int:
    return int((await door.rows("select coalesce(sum(lines), 0) from chunks"))[0][0])


class Connection:
    """One connection, on which bytes go as they are given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door) -> None:
        self._reader, self._writer, self._door = reader, writer, door

    def request(self, frame_id: str, body: bytes = TALK, *headers: str) -> bytes:
        """A POST, as Logplex writes it."""
        head = (
            "POST /drain HTTP/1.1",
            "Host: logs.example.com",
            f"Authorization: {basic(APP, self._door.secret)}",
            "Content-Type: application/logplex-1",
            f"Logplex-Frame-Id: {frame_id}",
            f"Content-Length: {len(body)}",
            *headers,
        )
        return "\r\n".join((*head, "", "")).encode() + body

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str]]:
        """The next one's status and headers."""
        async with asyncio.timeout(60):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *headers = head.split("\r\n")[:-2]
        return int(status.split(" ")[1]), dict(line.lower().split(": ", 1) for line in headers)

    async def ends(self) -> bool:
        """Whether nothing more comes."""
        async with asyncio.timeout(60):
            return await self._reader.read() == b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def connect(door: Door) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    opened: list[Connection] = []

    async def connect_() -> Connection:
        host, port = door.url.removeprefix("http://").split(":")
        opened.append(Connection(*await asyncio.open_connection(host, int(port)), door))
        return opened[-1]

    yield connect_
    for one in opened:
        one.close()


@asynccontextmanager
async def nothing_is_committed(door: Door) -> AsyncIterator[None]:
    """Whoever claims a frame waits."""
    async with door.db.begin() as conn:
        await conn.execute(text("lock table frames in share mode"))
        yield


async def waits(door: Door) -> int:
    return int((await door.rows("select count(*) from pg_locks where not granted"))[0][0])


async def test_a_drain_that_has_proved_itself_goes_the_short_way(door: Door, whole: list[str]) -> None:
    await known(door)
    answered = metrics.REGISTRY.get_sample_value("drainwatch_answers_total", {"status": "204"}) or 0
    answers = [await door.post(TALK, frame_id=str(number)) for number in range(3)]
    assert whole == ["first"]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 3
    assert answers[0].headers.keys() == {"date"}
    assert await lines_of(door) == 4
    assert metrics.REGISTRY.get_sample_value("drainwatch_answers_total", {"status": "204"}) == answered + 3


async def test_a_repeat_is_stored_once_whichever_way_it_goes(door: Door, whole: list[str]) -> None:
    await known(door)
    for _ in range(2):
        assert (await door.post(TALK, frame_id="first")).status_code == 204
    assert whole == ["first"]
    assert await lines_of(door) == 1


async def test_what_is_unusual_goes_the_whole_way(open_door: Any, whole: list[str]) -> None:
    door = await open_door(DRAINWATCH_MAX_BODY="1 KiB")
    await known(door)

    async def in_pieces() -> AsyncIterator[bytes]:
        yield TALK[:10]
        await asyncio.sleep(0.05)
        yield TALK[10:]

    answers = {
        "gzip": await door.post(gzip.compress(TALK), frame_id="gzip", Content_Encoding="gzip"),
        "type": await door.post(TALK, frame_id="type", Content_Type="text/plain"),
        "large": await door.post(TALK * 20, frame_id="large"),
        "secret": await door.post(TALK, frame_id="secret", Authorization=basic(APP, "wrong")),
        "empty": await door.post(b"", frame_id="empty"),
        "pieces": await door.post(in_pieces(), frame_id="pieces"),  # type: ignore[arg-type]
        "method": await door.client.put("/drain", content=TALK, headers={"Logplex-Frame-Id": "method"}),
    }
    statuses = {"gzip": 204, "type": 415, "large": 413, "secret": 401, "empty": 204, "pieces": 204, "method": 405}
    assert {name: answer.status_code for name, answer in answers.items()} == statuses
    assert whole == ["first", *answers]
    assert await lines_of(door) == 3


async def test_a_pinned_token_is_looked_at_on_the_short_way_too(door: Door, whole: list[str]) -> None:
    async with door.db.begin() as conn:
        await conn.execute(text("update drains set logplex_token = 'd.right'"))
    await known_by(door, "d.right")
    assert (await door.post(TALK, frame_id="right", Logplex_Drain_Token="d.right")).status_code == 204
    assert (await door.post(TALK, frame_id="wrong", Logplex_Drain_Token="d.wrong")).status_code == 403
    assert whole == ["first", "wrong"]


async def known_by(door: Door, token: str) -> None:
    assert (await door.post(TALK, frame_id="first", Logplex_Drain_Token=token)).status_code == 204


async def test_two_frames_in_one_write_are_both_answered_in_their_order(
    door: Door, connect: Callable[[], Awaitable[Connection]], whole: list[str]
) -> None:
    await known(door)
    one = await connect()
    one.send(one.request("a") + one.request("b", b"") + one.request("c"))
    assert [(await one.answer())[0] for _ in range(3)] == [204] * 3
    assert whole == ["first", "b", "c"]
    assert await lines_of(door) == 3


async def test_who_wants_no_further_request_is_told_and_let_go(
    door: Door, connect: Callable[[], Awaitable[Connection]], whole: list[str]
) -> None:
    await known(door)
    one = await connect()
    one.send(one.request("a", TALK, "Connection: close"))
    status, headers = await one.answer()
    assert (status, headers["connection"]) == (204, "close")
    assert await one.ends()
    assert whole == ["first"]


async def test_what_waits_too_long_goes_the_whole_way_and_is_stored_once(open_door: Any, whole: list[str]) -> None:
    door = await open_door(hold_s=2.0)
    await known(door)
    async with nothing_is_committed(door):
        posting = [asyncio.create_task(door.post(TALK, frame_id=str(number))) for number in range(3)]
        await eventually(lambda: waits(door), lambda many: many > 0)
        assert whole == ["first"]
        await gone(whole, 4)
    assert {answer.status_code for answer in await asyncio.gather(*posting)} == {204}
    assert sorted(whole) == ["0", "1", "2", "first"]
    assert await lines_of(door) == 4


async def test_what_cannot_be_committed_is_answered_503_when_its_time_is_over(open_door: Any, whole: list[str]) -> None:
    door = await open_door(hold_s=2.0)
    await known(door)
    loop = asyncio.get_running_loop()
    async with nothing_is_committed(door):
        began = loop.time()
        answer = await door.post(TALK, frame_id="late")
        took = loop.time() - began
    assert answer.status_code == 503
    assert whole == ["first", "late"]
    assert took > 1.9


async def test_who_has_gone_meanwhile_costs_nobody_anything(
    door: Door, connect: Callable[[], Awaitable[Connection]], whole: list[str]
) -> None:
    await known(door)
    one = await connect()
    async with nothing_is_committed(door):
        one.send(one.request("gone"))
        await eventually(lambda: waits(door), lambda many: many > 0)
        one.close()
        posting = asyncio.create_task(door.post(TALK, frame_id="there"))
        await asyncio.sleep(0.05)
    assert (await posting).status_code == 204
    await eventually(lambda: lines_of(door), lambda many: many == 3)
    assert whole == ["first"]


async def test_the_room_that_a_frame_takes_is_given_back(open_door: Any, whole: list[str]) -> None:
    door = await open_door(DRAINWATCH_ADMISSION="64 KiB")
    await known(door)
    for number in range(3):
        assert (await door.post(TALK, frame_id=str(number))).status_code == 204
    assert metrics.REGISTRY.get_sample_value("drainwatch_admission_bytes") == 0
    async with nothing_is_committed(door):
        large = TALK * (40_000 // len(TALK))
        posting = [asyncio.create_task(door.post(large, frame_id=f"large {number}")) for number in range(2)]
        await gone(whole, 2)  # the second does not fit, and stands in line
        assert metrics.REGISTRY.get_sample_value("drainwatch_admission_bytes") == len(large)
    assert {answer.status_code for answer in await asyncio.gather(*posting)} == {204}
    assert metrics.REGISTRY.get_sample_value("drainwatch_admission_bytes") == 0


async def test_a_connection_and_what_came_on_it_go_with_its_end(
    door: Door, connect: Callable[[], Awaitable[Connection]]
) -> None:
    body = frame_of(message("app", "web.1", "hello " * 4_000))
    await known(door)
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            one = await connect()
            one.send(one.request(str(number), body, "Connection: close"))
            assert (await one.answer())[0] == 204
            assert await one.ends()
            one.close()
        await eventually(connections_that_took, lambda found: found == 0)
    finally:
        gc.enable()


async def connections_that_took() -> int:
    """How many connections there are on which a frame went the short way, and that are closed."""
    there = [one for one in gc.get_objects() if type(one) is short_way._Connection]
    return sum(one.transport.is_closing() for one in there)
