from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from keeping import keep
from parsers.filters import parse_filter
from parsers.line import Line
from parsers.line_event import dyno_of
from service.store import chunks
from service.store.chunks import Budget, KeptLine, Wanted
from service.store.database import Database
from service.store.pages import Key
from vocabulary import NOON, at, crash, message, router_line, router_text, seconds_after


def said(words: str, ts: str = "12:00", *, process: str = "web.1") -> bytes:
    """A line of the app's own."""
    return message("app", process, words, ts)


async def all_pages(db: Database, *, limit: int = 1000, budget: Budget | None = None, **wanted: Any) -> list[KeptLine]:
    """Every page of the list, one after the other."""
    found: list[KeptLine] = []
    after: Key | None = None
    while True:
        async with db.read() as conn:
            page = await chunks.latest(conn, Wanted(**wanted), after=after, limit=limit, budget=budget)
        found += page.items
        if page.next is None:
            return found
        after = page.next


def texts(lines: Sequence[KeptLine]) -> list[str]:
    return [line.text for line in lines]


async def test_lines_are_newest_first_by_arrival_whatever_their_own_time(db: Database) -> None:
    await keep(db, "shop", said("a", "12:05"), said("b", "12:04"))
    await keep(db, "blog", said("c", "12:06"))
    await keep(db, "shop", said("d", "12:01"))

    assert texts(await all_pages(db)) == ["d", "c", "b", "a"]


async def test_pages_of_any_size_hold_each_line_once_and_in_order(db: Database) -> None:
    expected = [f"{frame}{letter}" for frame in range(12) for letter in "abcdefg"[: frame % 4 + 1]]
    for frame in range(12):
        await keep(db, ("shop", "blog")[frame % 2], *(said(words) for words in expected if words[:-1] == str(frame)))

    for limit in (1, 2, 3, 5, 1000):
        assert texts(await all_pages(db, limit=limit)) == expected[::-1], limit


async def test_a_line_is_kept_byte_for_byte_with_its_times_and_its_dyno(db: Database) -> None:
    await keep(db, "shop", router_line("12:00:01.5", path="/café ☕", dyno="web.2"), environment="staging")

    (line,) = await all_pages(db)
    assert (line.app, line.environment, line.source, line.process) == ("shop", "staging", "heroku", "router")
    assert line.text == router_text(path="/café ☕", dyno="web.2")
    assert (line.ts, line.dyno) == (at("12:00:01.5"), "web.2")
    assert line.place.received_at > line.ts


async def test_a_filter_leaves_what_is_alike(db: Database) -> None:
    await keep(db, "shop", said("a", "12:00"), said("b", "12:01", process="web.2"), said("c", "12:02", process="api"))
    await keep(db, "blog", said("d", "12:01"), router_line("12:03", dyno="web.1"), environment="staging")

    for wanted, expected in (
        ({"app": "shop"}, ["c", "b", "a"]),
        ({"app": "nobody"}, []),
        ({"environment": "staging"}, [router_text(dyno="web.1"), "d"]),
        ({"dyno": "web.1"}, [router_text(dyno="web.1"), "d", "a"]),
        ({"dyno": "web.2"}, ["b"]),
        ({"since": at("12:01"), "until": at("12:02")}, ["d", "b"]),
        ({"since": at("2025-01-01T00:00:00+00:00"), "until": at("12:00:00.000001")}, ["a"]),
        ({"since": at("0001-01-01T00:00:00+00:00"), "app": "blog", "dyno": "web.1", "until": at("12:02")}, ["d"]),
    ):
        assert texts(await all_pages(db, **wanted)) == expected, wanted


async def test_a_page_ends_after_so_much_was_looked_through_and_the_next_goes_on(db: Database) -> None:
    budget = Budget(scan_bytes=1)
    await keep(db, "shop", said("wanted", process="web.7"), router_line())
    for _ in range(20):
        await keep(db, "shop", router_line())

    async with db.read() as conn:
        first = await chunks.latest(conn, Wanted(dyno="web.7"), after=None, limit=10, budget=budget)
    assert first.items == ()
    assert first.next is not None
    assert texts(await all_pages(db, dyno="web.7", budget=budget)) == ["wanted"]


async def test_a_page_ends_when_its_time_is_over_and_the_next_goes_on(db: Database) -> None:
    names = [f"{number:02}" for number in range(20)]
    for name in names:
        await keep(db, "shop", said(name), router_line())

    async with db.read() as conn:
        first = await chunks.latest(conn, Wanted(), after=None, limit=1000, budget=Budget(seconds=0))
    assert len(first.items) == 2
    for q in ("", "dyno:web.1", "-needle", "0 OR 1", "host:example-app.herokuapp.com OR dyno:web.1"):
        found = await all_pages(db, budget=Budget(seconds=0), q=parse_filter(q), app="shop")
        assert [text for text in texts(found) if len(text) == 2] == names[::-1], q


async def test_a_filter_over_lines_is_its_predicate_over_lines_that_are_read(db: Database) -> None:
    lines = (
        said("Order 4711 shipped", "12:00"),
        said('payment declined amount=12.50 card="visa"', "12:01", process="worker.1"),
        said('{"event": "shop.paid", "level": "error", "request_id": "9f86d081-aa11", "ok": true}', "12:02"),
        router_line("12:03", path="/api/orders", service="30001ms", code="H12", dyno="web.2"),
        router_line("12:04", path="/api/status", service="3ms", dyno="web.2"),
        crash("web.1", "12:05"),
    )
    await keep(db, "shop", *lines)
    await keep(db, "blog", said("ORDER 4712", "12:06"), environment="staging")

    for q, expected in (
        ("order", [6, 3, 0]),
        ('"order 47"', [6, 0]),
        ("order -app:blog", [3, 0]),
        ("app:b*", [6]),
        ("environment:production orders", [3]),
        ("amount>12 card:visa", [1]),
        ("process_type:worker", [1]),
        ("severity>=error", [5, 3, 2]),
        ("request_id:9f86d081-aa11", [2]),
        ("ok:true OR to:crashed", [5, 2]),
        ("code:H12", [3]),
        ("kind:line dyno:web.2", [4]),
        ("service_ms<10", [4]),
        ("path:/api/*", [4, 3]),
        ('ts>="2026-05-11T12:05:00Z"', [6, 5]),
        ("-order -kind:dyno_state", [4, 2, 1]),
        ("4?11*ship", [0]),
        ("9f86D081-AA11 OR 4711", [2, 0]),
        ("9f86D081-aa11", [2]),
        ("nothing", []),
    ):
        found = await all_pages(db, q=parse_filter(q))
        assert [(line.ts - NOON).seconds // 60 for line in found] == expected, q


async def test_lines_around_one_are_of_the_same_dyno_and_in_the_order_of_arrival_across_chunks(db: Database) -> None:
    names = [f"{number:02}" for number in range(90)]
    for frame in range(9):
        lines = [said(name) for name in names[frame * 10 : frame * 10 + 10]]
        noise = [said("noise", process="worker.1"), router_line(dyno="web.1")]
        await keep(db, "shop", *(part for line in lines for part in (line, *noise)))
    newest_first = await all_pages(db, dyno="web.1")
    own = next(line for line in newest_first if line.text == "45")

    async with db.read() as conn:
        found = await chunks.around(
            conn, 1, own.place.received_at, own.place.chunk_id, own.place.number, process="web.1", before=20, after=20
        )

    assert texts(found) == names[25:66]
    assert own in found
    assert all(a.place < b.place for a, b in pairwise(found))


async def test_a_line_of_another_process_stands_among_the_lines_of_the_dyno_it_is_about(db: Database) -> None:
    await keep(db, "shop", said("before"), router_line(code="H12", dyno="web.1"), said("after"))
    own = next(line for line in await all_pages(db) if line.process == "router")

    async with db.read() as conn:
        found = await chunks.around(
            conn, 1, own.place.received_at, own.place.chunk_id, own.place.number, "web.1", before=0, after=20
        )

    assert texts(found) == [own.text, "after"]


async def test_a_chunk_that_is_kept_no_longer_has_nothing_around(db: Database) -> None:
    await keep(db, "shop", said("a"))
    (line,) = await all_pages(db)

    async with db.read() as conn:
        assert await chunks.around(conn, 1, line.place.received_at, UUID(int=0), 0, "web.1") == []


async def test_a_line_from_a_clock_that_is_ahead_is_found_where_it_says_it_belongs(db: Database) -> None:
    async with db.read() as conn:
        now = (await conn.execute(text("select now()"))).scalar_one()
    ahead = seconds_after(now, 3600)
    await keep(db, "shop", message("app", "web.1", "early", ahead))

    assert texts(await all_pages(db, since=ahead, until=seconds_after(ahead, 1))) == ["early"]
    assert texts(await all_pages(db, since=seconds_after(ahead, 1))) == []


@pytest.mark.parametrize(
    ("process", "words", "dyno"),
    [
        ("web.1", "", "web.1"),
        ("my-worker.12", "", "my-worker.12"),
        ("router", router_text(dyno="web.3"), "web.3"),
        ("router", router_text(path="/x dyno=web.9", dyno="web.3"), "web.3"),
        ("router", router_text(code="H10"), None),
        ("router", "", None),
        ("api", "", None),
        ("heroku-postgres", "", None),
        ("postgres.1127530", "", None),
    ],
)
def test_a_line_is_about_the_dyno_that_wrote_it_or_that_the_router_names(
    process: str, words: str, dyno: str | None
) -> None:
    assert dyno_of(Line(ts=at("12:00"), source="heroku", process=process, text=words)) == dyno
