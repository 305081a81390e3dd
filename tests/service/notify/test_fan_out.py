import asyncio
import json
from datetime import timedelta

from service.notify import endpoints
from service.notify.fan_out import fan_out
from service.store.database import Database
from service.store.wakeups import DELIVERIES, listen

from .outbox import NOON, PUBLIC_URL, add, after, ledger, step

HOOK = "http://127.0.0.1:9/hook"


async def fan_out_all(db: Database, *, seconds: float = 0) -> int:
    """How many steps were fanned out."""
    total = 0
    steps = 1
    while steps:
        async with db.begin() as conn:
            steps = await fan_out(conn, public_url=PUBLIC_URL, now=after(seconds))
            total += steps
    return total


async def owed(db: Database, endpoint_id: int) -> list[str]:
    return [one.type for one in await ledger(db, endpoint_id)]


async def test_each_endpoint_that_wants_a_step_is_owed_it_once(db: Database) -> None:
    all_of_it = (await add(db, HOOK)).endpoint
    other_app = (await add(db, HOOK, match="app:other")).endpoint
    openings = (await add(db, HOOK, types=["incident.opened"])).endpoint
    await step(db, "opened")
    await step(db, "acknowledged", 2)

    assert (await fan_out_all(db), await fan_out_all(db)) == (2, 0)
    assert await owed(db, all_of_it.id) == ["incident.opened", "incident.acknowledged"]
    assert await owed(db, other_app.id) == []
    assert await owed(db, openings.id) == ["incident.opened"]


async def test_workers_that_fan_out_at_the_same_time_make_each_delivery_once(db: Database) -> None:
    endpoint = (await add(db, HOOK)).endpoint
    for n in range(10):
        await step(db, "opened", of=n)
        await step(db, "resolved", 2, of=n)

    totals = await asyncio.gather(*(fan_out_all(db) for _ in range(4)))

    assert sum(totals) == 20
    assert sorted(await owed(db, endpoint.id)) == ["incident.opened"] * 10 + ["incident.resolved"] * 10


async def test_a_fan_out_that_is_rolled_back_leaves_everything_owed(db: Database) -> None:
    endpoint = (await add(db, HOOK)).endpoint
    await step(db, "opened")
    async with db.begin() as conn:
        assert await fan_out(conn, public_url=PUBLIC_URL, now=NOON) == 1
        await conn.rollback()

    assert await owed(db, endpoint.id) == []
    assert await fan_out_all(db) == 1


async def test_while_one_holds_an_opening_nobody_fans_out_what_follows_it(db: Database) -> None:
    endpoint = (await add(db, HOOK)).endpoint
    await step(db, "opened")
    async with db.begin() as first:
        assert await fan_out(first, public_url=PUBLIC_URL, now=NOON) == 1
        await step(db, "resolved", 2)
        assert await fan_out_all(db) == 0
    await fan_out_all(db)

    assert await owed(db, endpoint.id) == ["incident.opened", "incident.resolved"]


async def test_what_is_only_for_the_timeline_is_told_nobody(db: Database) -> None:
    endpoint = (await add(db, HOOK)).endpoint
    await step(db, "note")

    assert await fan_out_all(db) == 1
    assert await owed(db, endpoint.id) == []


async def test_a_severity_that_went_up_is_an_escalation(db: Database) -> None:
    endpoint = (await add(db, HOOK, match="severity>=error")).endpoint
    await step(db, "opened", severity="warning")
    await step(db, "raised", 2, severity="critical")
    await step(db, "resolved", 3, severity="critical")
    await fan_out_all(db)

    assert await owed(db, endpoint.id) == ["incident.escalated", "incident.resolved"]


async def test_an_endpoint_added_after_the_opening_is_not_told_the_resolution(db: Database) -> None:
    first = (await add(db, HOOK)).endpoint
    await step(db, "opened")
    await fan_out_all(db)
    second = (await add(db, HOOK)).endpoint
    await step(db, "resolved", 2)
    await fan_out_all(db)

    assert await owed(db, first.id) == ["incident.opened", "incident.resolved"]
    assert await owed(db, second.id) == []


async def test_a_resolution_belongs_to_the_opening_since_the_last_one(db: Database) -> None:
    endpoint = (await add(db, HOOK, match="severity>=error")).endpoint
    await step(db, "opened", severity="error")
    await step(db, "resolved", 2, severity="error")
    await step(db, "reopened", 3, severity="warning")
    await step(db, "resolved", 4, severity="warning")
    await fan_out_all(db)

    assert await owed(db, endpoint.id) == ["incident.opened", "incident.resolved"]


async def test_disabled_and_removed_endpoints_are_owed_nothing(db: Database) -> None:
    disabled, removed = (await add(db, HOOK)).endpoint, (await add(db, HOOK)).endpoint
    await endpoints.disable(db, disabled.id)
    await endpoints.remove(db, removed.id)
    await step(db, "opened")
    await fan_out_all(db)
    await endpoints.enable(db, disabled.id)

    assert await owed(db, disabled.id) == []


async def test_what_is_told_more_than_a_minute_after_it_came_about_says_how_late(db: Database) -> None:
    await add(db, HOOK)
    await step(db, "opened")
    await step(db, "opened", of=2, at=after(3000))
    await fan_out_all(db, seconds=3060)

    async with db.read() as conn:
        rows = await conn.exec_driver_sql("select payload from deliveries order by number, incident_id")
        incidents = [json.loads(row.payload)["data"]["incident"] for row in rows]
    assert [incident.get("late_by_s") for incident in incidents] == [3060, None]


async def test_a_resolution_whose_opening_died_on_the_way_tells_both(db: Database) -> None:
    endpoint = (await add(db, HOOK)).endpoint
    await step(db, "opened")
    await fan_out_all(db)
    await endpoints.disable(db, endpoint.id)
    await endpoints.enable(db, endpoint.id)
    await step(db, "resolved", 2, at=after(90))
    await fan_out_all(db, seconds=100)

    async with db.read() as conn:
        rows = await conn.exec_driver_sql("select payload from deliveries where type = 'incident.resolved'")
        [incident] = [json.loads(row.payload)["data"]["incident"] for row in rows]
    assert incident["late_by_s"] == 100


async def test_a_step_that_is_committed_wakes_whoever_tells_of_it(db: Database) -> None:
    async with listen(db, DELIVERIES) as woken, asyncio.timeout(60):
        await woken.wait()  # as listening begins
        woken.clear()
        await step(db, "opened")
        await woken.wait()


async def test_deliveries_are_given_up_after_a_day(db: Database) -> None:
    await add(db, HOOK)
    await step(db, "opened")
    await fan_out_all(db)

    async with db.read() as conn:
        [row] = await conn.exec_driver_sql("select due_at, give_up_at from deliveries")
    assert (row.due_at, row.give_up_at) == (NOON, NOON + timedelta(hours=24))
