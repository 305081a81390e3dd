import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text

from keeping import keep
from listening import ADMIN, Listener, web_process
from service import access
from service.api import feed, stream
from service.store import arrivals, continued, merging, own_events
from service.store.arrivals import place_text, read_place
from service.store.database import Database
from service.store.evidence import read_event
from service.store.ids import new_id
from soak import SOAK
from vocabulary import message, router_line

from .conftest import Asking

# How often one drops, and how many events arrive meanwhile.
DROPS, EVENTS = (100, 50_000) if SOAK else (12, 2_000)


@pytest_asyncio.fixture(loop_scope="session")
async def url(emptied_url: str) -> AsyncIterator[str]:
    """The address of a web process."""
    async with web_process(emptied_url) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="session")
async def db(emptied_url: str) -> AsyncIterator[Database]:
    opened = Database.open(emptied_url)
    yield opened
    await opened.close()


async def becomes_true(claim: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_stream_tells_what_arrives_from_now_on_in_the_shape_of_the_list(ask: Asking, url: str) -> None:
    await keep(ask.db, "shop", router_line("12:00", code="H10"))

    async with Listener("/v1/events/stream").at(url) as events, Listener("/v1/lines/stream").at(url) as lines:
        await keep(ask.db, "shop", router_line("12:01", code="H12"), message("app", "web.1", "hello", "12:02"))
        await events.until(1)
        await lines.until(2)

    assert events.got == (await ask.get("/v1/events", limit=1))["items"]
    assert lines.got == (await ask.get("/v1/lines", limit=2))["items"][::-1]


async def test_a_stream_tells_what_is_in_its_filter(ask: Asking, url: str) -> None:
    wanted = {"app": "shop", "q": "code:H12 service_ms>5"}
    async with (
        Listener("/v1/events/stream", wanted).at(url) as events,
        Listener("/v1/lines/stream", {"q": "needle"}).at(url) as lines,
    ):
        await keep(ask.db, "blog", router_line(code="H12", service="7ms"), message("app", "web.1", "hay"))
        await keep(ask.db, "shop", router_line(code="H12", service="3ms"), router_line(code="H12", service="8ms"))
        await keep(ask.db, "shop", router_line(code="H13"), message("app", "web.1", "a NEEDLE"))
        await keep(ask.db, "shop", router_line(code="H12", service="9ms"))
        await events.until(2)
        await lines.until(1)

    assert [event["fields"]["service_ms"] for event in events.got] == [8, 9]
    assert [line["message"] for line in lines.got] == ["a NEEDLE"]


async def test_dropped_and_resumed_at_random_through_two_processes_each_event_comes_once_and_in_order(
    emptied_url: str, db: Database, url: str
) -> None:
    chance, apps = random.Random(1), ("shop", "blog")
    each, size = EVENTS // len(apps), 25

    async def write(app: str) -> None:
        for begin in range(0, each, size):
            await keep(db, app, *(router_line(code="H12", service=f"{n}ms") for n in range(begin, begin + size)))

    def told(app: str) -> list[int]:
        return [event["fields"]["service_ms"] for event in listener.got if event["app"] == app]

    listener = Listener("/v1/events/stream", {"q": "code:H12"})
    async with web_process(emptied_url) as other:
        async with listener.at(url):
            writing = [asyncio.create_task(write(app)) for app in apps]
        for _ in range(DROPS):
            async with listener.at(chance.choice((url, other))):
                wanted = len(listener.got) + chance.randint(0, 2 * EVENTS // DROPS)
                await becomes_true(lambda wanted=wanted: len(listener.got) >= min(wanted, EVENTS), 60)
        await asyncio.gather(*writing)
        async with listener.at(other):
            await listener.until(EVENTS, 120)

    for app in apps:
        assert told(app) == list(range(each))


async def test_a_commit_that_becomes_visible_late_is_not_missed(db: Database, url: str, emptied_url: str) -> None:
    await keep(db, "shop", router_line())
    slow = await db.asyncpg()
    insert = (
        "insert into arrivals (app_id, chunk_id, received_at, events) select 1, chunk_id, received_at, 1 from events"
    )
    try:
        listener = Listener("/v1/events/stream")
        async with listener.at(url):
            await slow.execute("begin")
            await slow.execute("select pg_current_xact_id()")  # its number is earlier than that of all that follow
            await keep(db, "shop", router_line("12:01", code="H13"))
            await listener.until(1)
            await slow.execute(insert)
            await slow.execute("commit")
            # The event of the first commit, announced by a transaction that began before and ended after the other's.
            await listener.until(2)
        async with web_process(emptied_url) as other, listener.at(other):
            await keep(db, "shop", router_line("12:02", code="H14"))
            await listener.until(3)
    finally:
        await slow.close()

    assert [event["code"] for event in listener.got] == ["H13", "H13", "H14"]


async def test_lines_are_found_where_they_are_by_then_merged_or_not(db: Database, url: str) -> None:
    listener = Listener("/v1/lines/stream")
    async with listener.at(url):
        pass
    for n in range(5):
        await keep(db, "shop", message("app", "web.1", f"line {n}"))
    async with db.begin() as conn:
        await conn.exec_driver_sql("delete from pending")
        now = (await conn.exec_driver_sql("select now() + interval '2 days'")).scalar_one()
        sizes = merging.Sizes(many=2)
        await merging.due(conn, now=now, sizes=sizes)
        merged, more = 0, True
        while more:  # a day at a time, and midnight may have been between the lines
            done = await merging.merge(conn, 1, now=now, sizes=sizes)
            merged, more = merged + done.chunks, done.more
        assert merged

    async with listener.at(url):
        await listener.until(5)

    assert [line["message"] for line in listener.got] == [f"line {n}" for n in range(5)]


async def test_an_event_that_came_about_later_comes_once_and_one_of_drainwatchs_own_if_asked_for(
    db: Database, url: str
) -> None:
    listener, own = Listener("/v1/events/stream"), Listener("/v1/events/stream", {"q": "kind:heartbeat"})
    async with listener.at(url):
        pass
    await keep(db, "shop", router_line(code="H12"))
    async with db.begin() as conn:
        (row,) = (await conn.exec_driver_sql("select * from events")).all()
        event = read_event(row, app="shop", environment="production")
        await continued.add(conn, 1, continued.ChunkKey(row.received_at, row.chunk_id), replace(event, code="later"))

    async with listener.at(url), own.at(url):
        await listener.until(2)
        async with db.begin() as conn:
            await own_events.add(conn, 1, [replace(event, kind="heartbeat", id=new_id(event.received_at))])
        await keep(db, "shop", router_line(code="H13"))
        await listener.until(3)
        await own.until(1)

    assert [event["code"] for event in listener.got] == ["H12", "later", "H13"]
    assert [event["kind"] for event in own.got] == ["heartbeat"]


async def test_without_anything_to_tell_there_is_a_comment_and_the_place_goes_on(
    db: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
    listener = Listener("/v1/events/stream", {"q": "code:H99"})
    async with listener.at(url):
        first = listener.last_id
        await keep(db, "shop", router_line(code="H12"))
        await becomes_true(lambda: listener.pings > 2 and listener.last_id != first)

    assert listener.got == []


async def test_two_hundred_clients_share_one_reader(db: Database, url: str) -> None:
    listeners = [Listener("/v1/events/stream", {"q": f"service_ms:{n % 2}"}) for n in range(200)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(one.at(url)) for one in listeners))
        await keep(db, "shop", *(router_line(code="H12", service=f"{n % 2}ms") for n in range(20)))
        await asyncio.gather(*(one.until(10) for one in listeners))
        async with db.read() as conn:
            asked = "select count(*) from pg_stat_activity where datname = current_database()"
            connections = (await conn.exec_driver_sql(asked)).scalar_one()

    assert all(len(one.got) == 10 for one in listeners)
    assert connections < 20


async def test_a_client_that_takes_nothing_is_cut_off_and_costs_the_others_nothing(
    db: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_WAITING", 200)
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.3)
    host, port = url.removeprefix("http://").split(":")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, (host, int(port)))
    asked = f"GET /v1/lines/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
    await loop.sock_sendall(slow, asked.encode())
    await loop.sock_recv(slow, 300)  # it has begun

    written = 0
    async with Listener("/v1/lines/stream").at(url) as quick:
        for n in range(40):
            await keep(db, "shop", *(message("app", "web.1", f"{n} {'x' * 4000}") for _ in range(50)))
            written += 50
            await quick.until(written)
        taken = b""
        async with asyncio.timeout(60):
            while piece := await loop.sock_recv(slow, 1 << 20):
                taken += piece
    slow.close()

    told = [json.loads(one.partition("data: ")[2]) for one in _whole(taken.decode(errors="replace"))]
    assert len(quick.got) == written
    assert 0 < len(told) < written
    # It resumes from the last id that it has, and misses nothing.
    resumed = Listener("/v1/lines/stream", last_id=_ids(taken.decode(errors="replace"))[-1])
    async with resumed.at(url):
        await resumed.until(written - len(told))
    assert [line["id"] for line in told + resumed.got] == [line["id"] for line in quick.got]


def _whole(text: str) -> list[str]:
    """The messages that came whole, of a chunked answer."""
    lines = [line for line in text.split("\r\n") if not line or line[0] in "rid:\n" or "\n" in line]
    blocks = "".join(lines).split("\n\n")[:-1]
    return [block for block in blocks if "data: " in block]


def _ids(text: str) -> list[str]:
    return [block.partition("id: ")[2].partition("\n")[0] for block in _whole(text)]


async def test_a_revoked_token_ends_its_streams_at_once_in_every_process(
    db: Database, url: str, emptied_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 600.0)  # so that it is the revocation itself that wakes them
    revoked, token = await access.create(db, name="tail", scope="read")
    _, other = await access.create(db, name="other", scope="read")
    async with web_process(emptied_url) as second, AsyncExitStack() as stack:
        ending = [
            await stack.enter_async_context(Listener(path, token=token).at(address))
            for path in ("/v1/events/stream", "/v1/lines/stream")
            for address in (url, second)
        ]
        staying = [
            await stack.enter_async_context(Listener("/v1/events/stream", token=one).at(second))
            for one in (other, ADMIN)
        ]
        await access.revoke(db, revoked.id)
        await becomes_true(lambda: all(one.ended for one in ending))
        await keep(db, "shop", router_line(code="H12"))

        for one in staying:
            await one.until(1)
        assert [one.got for one in ending] == [[]] * 4
        assert not any(one.ended for one in staying)


async def test_what_is_committed_after_a_revocation_is_told_to_none_of_the_tokens_streams(
    db: Database, url: str
) -> None:
    for _ in range(5):
        made, token = await access.create(db, name="tail", scope="read")
        async with Listener("/v1/events/stream", token=token).at(url) as listener:
            await access.revoke(db, made.id)
            await keep(db, "shop", router_line(code="H12"))
            await becomes_true(lambda one=listener: one.ended)  # type: ignore[misc]
        assert listener.got == []


async def test_a_revocation_that_nobody_is_woken_for_ends_streams_with_the_next_look(db: Database, url: str) -> None:
    made, token = await access.create(db, name="tail", scope="read")
    async with Listener("/v1/events/stream", token=token).at(url) as listener:
        async with db.begin() as conn:
            await conn.execute(text("update tokens set revoked_at = now() where id = :id"), {"id": made.id})
        await becomes_true(lambda: listener.ended)


async def test_a_place_of_no_stream_is_400_and_one_of_too_long_ago_is_410(ask: Asking) -> None:
    async with ask.db.read() as conn:
        place = await arrivals.here(conn)
    old = place_text(arrivals.Place.of(place.since, place.since_at - arrivals.KEPT - timedelta(seconds=1)))

    for last_id, status in (("x", 400), (place_text(place)[:-1], 400), ("é", 400), (old, 410)):
        answer = await ask("GET", "/v1/events/stream", headers={"Last-Event-ID": last_id.encode()})
        assert answer.status_code == status, last_id
        assert answer.json()["parameter"] == "Last-Event-ID"


async def test_a_place_is_read_back_from_its_text(db: Database) -> None:
    async with db.read() as conn:
        here = await arrivals.here(conn)
    step = arrivals.Step(here.since_at, 7, arrivals.BEGIN.chunk_id, 3)
    for place in (here, arrivals.Place("10:20:11,15", here.since_at, "12:2000000000000:12,400", step)):
        assert read_place(place_text(place)) == place


async def test_a_web_process_that_is_told_to_end_ends_its_streams(emptied_url: str) -> None:
    web, listener = web_process(emptied_url), Listener("/v1/events/stream")
    async with listener.at(await web.__aenter__()):
        async with asyncio.timeout(10):  # it would give what goes on 15 s to end
            await web.__aexit__(None, None, None)
        await becomes_true(lambda: listener.ended)
