from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from keeping import keep
from service.store import events, partitions
from service.store.database import Database
from service.store.events import KeptEvent, Wanted
from service.store.pages import Key
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
        query = events._walk_apps([1], Wanted(errors_only=True), None, 101)
        statement = query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        plan = await conn.exec_driver_sql(f"explain {statement}")

    shown = "\n".join(row[0] for row in plan)
    assert "Merge Append" in shown
    assert "Index Scan Backward" in shown
    assert "Sort  " not in shown
