import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from keeping import keep
from parsers.filters import parse_filter
from service.store import event_walk, events, partitions
from service.store.database import Database
from service.store.event_walk import walk_of
from service.store.events import KeptEvent, Wanted
from service.store.pages import Key
from soak import PAGES_APART
from vocabulary import NOON, at, boot_timeout, memory_quota, router_line, seconds_after, up


async def latest(db: Database, *, after: Key | None = None, limit: int = 100, **wanted: object) -> list[KeptEvent]:
    async with db.read() as conn:
        return list((await events.latest(conn, Wanted(**wanted), after=after, limit=limit)).items)  # type: ignore[arg-type]


def codes(found: list[KeptEvent]) -> list[str | None]:
    return [kept.event.code for kept in found]


async def test_events_are_newest_first_by_their_own_time_whenever_they_came(db: Database) -> None:
    await keep(db, "shop", router_line("12:02", code="H12"))
    await keep(db, "shop", router_line("12:01", code="H13"), router_line("12:03", code="H18"))

    assert codes(await latest(db)) == ["H18", "H12", "H13"]


async def test_errors_are_events_of_severity_error_and_above(db: Database) -> None:
    await keep(db, "shop", up("web.1"), boot_timeout("web.1"), memory_quota("web.1"), router_line(code="H27"))

    assert set(codes(await latest(db, errors_only=True))) == {"R10", "R14"}


async def test_a_filter_leaves_what_is_alike(db: Database) -> None:
    await keep(db, "shop", boot_timeout("web.1", "12:00"), router_line("12:03", code="H12", dyno="web.2"))
    await keep(db, "shop-staging", router_line("12:02", code="H13", dyno="web.1"), environment="staging")
    await keep(db, "blog-staging", router_line("12:01", code="H10"), environment="staging")

    for wanted, expected in (
        ({"app": "shop"}, ["H12", "R10"]),
        ({"app": "nobody"}, []),
        ({"environment": "staging"}, ["H13", "H10"]),
        ({"app": "shop", "environment": "staging"}, []),
        ({"code": "H12"}, ["H12"]),
        ({"kind": "dyno_error"}, ["R10"]),
        ({"dyno": "web.2"}, ["H12"]),
        ({"since": at("12:02"), "until": at("12:03")}, ["H13"]),
    ):
        assert codes(await latest(db, **wanted)) == expected, wanted


async def test_pages_hold_each_event_once_though_new_ones_arrive_meanwhile(db: Database) -> None:
    shop, blog = [f"H{10 + n}" for n in range(7)], [f"H{20 + n}" for n in range(7)]
    # All of one instant: their ids alone tell them apart.
    await keep(db, "shop", *(router_line("12:00", code=code) for code in shop))
    await keep(db, "blog", *(router_line("12:00", code=code) for code in blog))

    for wanted, expected in (({}, shop + blog), ({"app": "shop"}, shop), ({"environment": "production"}, shop + blog)):
        seen: list[str | None] = []
        after, more = None, True
        while more:
            async with db.read() as conn:
                page = await events.latest(conn, Wanted(**wanted), after=after, limit=3)  # type: ignore[arg-type]
            seen += [code for code in codes(list(page.items)) if code != "H99"]
            await keep(db, "shop", router_line("12:05", code="H99"))
            after, more = page.next, page.next is not None
        assert sorted(map(str, seen)) == expected, wanted


async def test_a_page_that_holds_the_last_event_is_the_last_one(db: Database) -> None:
    await keep(db, "shop", up("web.1"), up("web.2"))

    async with db.read() as conn:
        page = await events.latest(conn, Wanted(), after=None, limit=2)

    assert (len(page.items), page.next) == (2, None)


async def test_kinds_of_drainwatchs_own_are_listed_only_when_asked_for(db: Database) -> None:
    await keep(db, "shop", up("web.1"))
    async with db.begin() as conn:
        await conn.execute(text("update events set kind = 'heartbeat'"))

    assert await latest(db) == []
    assert len(await latest(db, kind="heartbeat")) == 1


async def test_one_event_is_found_by_its_id_alone(db: Database) -> None:
    await keep(db, "shop", router_line("12:00", code="H12"), up("web.1", "12:01"))
    up_event = (await latest(db))[0]

    async with db.read() as conn:
        found = await events.one(conn, up_event.event.id or UUID(int=0))

    assert found == up_event
    assert found.event.kind == "dyno_state"  # type: ignore[union-attr]


async def test_an_id_that_no_event_has_finds_none(db: Database) -> None:
    await keep(db, "shop", up("web.1"))

    async with db.read() as conn:
        for id in (uuid4(), UUID(int=0), UUID(int=2**128 - 1)):
            assert await events.one(conn, id) is None


async def test_the_latest_errors_are_a_walk_along_the_indexes_of_all_partitions(db: Database) -> None:
    await keep(db, "shop", *(router_line(seconds_after(NOON, n), code="H12") for n in range(500)))
    async with db.begin() as conn:
        await partitions.ensure(conn, datetime.now(UTC) + timedelta(days=7))
        await conn.execute(text("analyze events"))
        query = (await walk_of(conn, Wanted(app="shop", errors_only=True))).rows(None, 101)
        statement = query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        plan = await conn.exec_driver_sql(f"explain {statement}")

    shown = "\n".join(row[0] for row in plan)
    assert "Merge Append" in shown
    assert "Index Scan Backward" in shown
    assert "Sort  " not in shown


async def test_what_one_code_is_asked_for_is_a_walk_along_its_index(db: Database) -> None:
    await keep(db, "shop", *(router_line(seconds_after(NOON, n), code=f"H{n % 3 + 10}") for n in range(900)))
    await keep(db, "blog", *(router_line(seconds_after(NOON, n), code="H99") for n in range(900)))
    async with db.begin() as conn:
        await conn.execute(text("analyze events"))
        for wanted in (
            Wanted(app="shop", code="H12", errors_only=True),
            Wanted(q=parse_filter("code:H12 -dyno:web.7")),
            Wanted(q=parse_filter("(code:H12 OR code:H13) app:s*")),
        ):
            query = (await walk_of(conn, wanted)).rows(None, 101)
            statement = query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
            shown = "\n".join(row[0] for row in await conn.exec_driver_sql(f"explain {statement}"))
            print(shown)
            assert "_code" in shown
            assert "Seq Scan" not in shown


async def test_a_filter_leaves_what_is_in_it_on_pages_of_any_size(db: Database) -> None:
    for n in range(12):
        line = router_line(f"12:{n:02}", code=f"H{10 + n % 3}", service=f"{n}ms", dyno=f"web.{n % 2}")
        await keep(db, ("shop", "blog")[n % 2], line, up("web.1", f"12:{n:02}"))

    for q, wanted, expected in (
        ("service_ms>=7 kind:router_error", {}, [11, 10, 9, 8, 7]),
        ("service_ms>=7 app:sh*", {}, [10, 8]),
        ("code:H10", {}, [9, 6, 3, 0]),
        ("code:H10", {"errors_only": True, "app": "blog"}, [9, 3]),
        ("(code:H10 OR code:H11) -dyno:web.0", {}, [9, 7, 3, 1]),
        ("code:H10", {"code": "H11"}, []),
        ("severity>=error environment:production status:503", {"dyno": "web.1"}, [11, 9, 7, 5, 3, 1]),
        ("app:nobody", {}, []),
        ("kind:router_error service_ms<2", {"since": at("12:01")}, [1]),
        ("nothing", {}, []),
    ):
        for limit in (1, 3, 100):
            found, after, more = [], None, True
            while more:
                async with db.read() as conn:
                    one = Wanted(q=parse_filter(q), **wanted)  # type: ignore[arg-type]
                    page = await events.latest(conn, one, after=after, limit=limit, seconds=0)
                found += [kept.event.ts.minute for kept in page.items]
                after, more = page.next, page.next is not None
            assert found == expected, (q, wanted, limit)


async def test_a_pattern_of_a_field_stands_beside_every_way_through_the_indexes(db: Database) -> None:
    await keep(db, "shop", router_line("12:00", code="H12", path="/api/x"), router_line("12:01", code="H13", path="/y"))
    await keep(db, "blog", router_line("12:02", code="H12", path="/api/z"))

    for q in ("path:/api/*", "code:H12 path:/api/*", "kind:router_error path:/api/*", "app:* code:H12 path:/a*"):
        for wanted in ({}, {"app": "shop"}, {"code": "H12"}, {"app": "shop", "code": "H12", "kind": "router_error"}):
            found = await latest(db, q=parse_filter(q), **wanted)
            assert codes(found) == ["H12"] * (1 if "app" in wanted else 2), (q, wanted)


async def test_a_filter_that_is_asked_in_vain_ends_its_page_and_the_next_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_FIRST_STEP", 5)
    monkeypatch.setattr(event_walk, "_SMALLEST_SHARE", 1)
    await keep(db, "shop", *(router_line(seconds_after(NOON, n), code="H12", service=f"{n}ms") for n in range(20)))

    for app in ("shop", None):
        wanted, after, sizes = Wanted(app=app, q=parse_filter("service_ms:0 OR service_ms:17")), None, []
        async with db.read() as conn:
            for _ in range(5):
                page = await events.latest(conn, wanted, after=after, limit=10, seconds=0)
                sizes.append(len(page.items))
                after = page.next
                if after is None:
                    break
        assert sizes in ([1, 0, 0, 1], [1, 0, 0, 1, 0])
        assert after is None


async def test_a_reader_that_pages_while_a_writer_writes_sees_every_row_of_the_start_once(db: Database) -> None:
    await keep(db, "shop", *(router_line(seconds_after(NOON, n % 7), code="H12", service=f"{n}ms") for n in range(300)))
    seen: list[object] = []
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await keep(db, "shop", router_line(seconds_after(NOON, written % 9), code="H12", service="999999ms"))
            written += 1

    writing = asyncio.create_task(write())
    after, more = None, True
    while more or written < 5:
        async with db.read() as conn:
            wanted = Wanted(app="shop", errors_only=True, q=parse_filter("code:H12"))
            page = await events.latest(conn, wanted, after=after, limit=11)
        seen += [kept.event.fields["service_ms"] for kept in page.items]
        after, more = page.next, page.next is not None
        if not more:
            break
    writing.cancel()

    assert sorted(n for n in seen if n != 999999) == list(range(300))


async def test_a_page_lies_between_the_narrower_bounds_wherever_its_cursor_is(db: Database) -> None:
    await keep(db, "shop", *(router_line(f"12:{n:02}", code=f"H1{n % 2}") for n in range(10)))
    await keep(db, "blog", *(router_line(f"12:{n:02}", code="H10") for n in range(10)))
    every = await latest(db)
    times = [None, at("12:00"), at("12:03"), at("12:07"), at("12:30")]

    cursors = [None, *map(events.key_of, every)]
    filters: list[dict[str, object]] = [
        {"app": "shop"},
        {"code": "H10"},
        {"app": "shop", "code": "H10"},
        {},
        {"q": parse_filter("status>=1 app:s*")},
    ]
    mine = [await latest(db, **wanted) for wanted in filters]

    pages = list(product(range(len(filters)), times, times, cursors))
    for number, since, until, after in pages[::PAGES_APART]:
        found = await latest(db, since=since, until=until, after=after, **filters[number])
        expected = [
            one
            for one in mine[number]
            if (since is None or one.event.ts >= since)
            and (until is None or one.event.ts < until)
            and (after is None or (one.event.ts, one.event.id) < (after.at, after.id))
        ]
        assert found == expected, (filters[number], since, until, after)


async def test_a_page_far_down_is_as_near_as_the_first(embedded_url: str) -> None:
    db = Database.open(embedded_url)  # older servers do not end a walk where a row of columns says so
    await keep(db, "shop", router_line("12:00", code="H12"))
    async with db.begin() as conn:
        await conn.execute(text(MANY))
    await vacuumed(db)
    (far,) = await latest(db, app="shop", until=at("08:00"), limit=1)

    for wanted in ({"app": "shop"}, {"app": "shop", "code": "H12"}, {"q": parse_filter("app:shop status>=1")}):
        for after in (None, events.key_of(far)):
            async with db.read() as conn:
                walk = await walk_of(conn, Wanted(since=at("01:00"), until=at("12:30"), **wanted))  # type: ignore[arg-type]
                edge = (await conn.execute(walk.places(after, 102))).one()
                plan = await explained(conn, walk.rows(after, 101, edge=Key(edge.ts, edge.id)))
            # The entries from either end of the app to there are 200 pages of its index.
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200, (wanted, after)
    await db.close()


# 60,000 of an app, in the ten hours before noon.
MANY = """
    insert into events select app_id, received_at, gen_random_uuid(), ts - n * interval '0.6 seconds', kind, code, severity,
        source, process, dyno, message, fields, flags, chunk_id, place
    from events, generate_series(1, 60000) as n
"""


async def vacuumed(db: Database) -> None:
    conn = await db.asyncpg()
    await conn.execute("vacuum analyze events")
    await conn.close()


async def explained(conn: AsyncConnection, query: Any) -> dict[str, Any]:
    statement = str(query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})).replace("%", "%%")
    ((plan,),) = await conn.exec_driver_sql("explain (analyze, buffers, format json) " + statement)
    found: dict[str, Any] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return found
