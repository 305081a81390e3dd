"""What time alone makes of incidents: on the app's clock, once, whoever runs it; and what flapping is."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents import actions
from service.incidents.timers import Timers
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import NOON, boot_timeout, message, router_line, seconds_after, up

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MEMORY = "webauthn.challenge_stored store=memory user_id=7 challenge_hash=3fa94c1b"


async def folded(
    db: Database, *, ack_lapse: timedelta = timedelta(hours=4), started_at: datetime = LONG_AGO
) -> list[Incident]:
    """All incidents, oldest first, once nothing is pending and no timer is due."""
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    for _ in range(20):
        if not await watch.turn(LONG_AGO):
            break
    while await Timers(db, ack_lapse=ack_lapse).turn(started_at):
        pass
    async with db.read() as conn:
        return list(reversed(await incidents.page(conn, limit=100)))


async def steps(db: Database, rule: str = "boot_timeout") -> list[str]:
    """The timeline of the incidents of a rule."""
    query = text("select type from transitions where incident->>'rule' = :rule order by made_at, number")
    async with db.read() as conn:
        return list((await conn.execute(query, {"rule": rule})).scalars())


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def test_what_nobody_acknowledges_for_30_minutes_escalates_once_on_the_apps_clock(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"), router_line("12:30:09"))
    assert [one.escalated_at for one in await folded(db)] == [None]
    await keep(db, APP, router_line("12:30:10"))
    [incident] = await folded(db)
    await keep(db, APP, router_line("13:30"))
    await folded(db)

    assert incident.escalated_at == seconds_after("12:30", 0)
    assert await steps(db) == ["opened", "escalated"]


async def test_what_somebody_looks_after_or_is_over_does_not_escalate(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    await keep(db, "blog", boot_timeout("web.1", "12:00"), up("web.1", "12:01"))
    [first, _] = sorted(await folded(db), key=lambda one: one.app, reverse=True)
    await actions.acknowledge(db, first.id, version=None, actor="operator")
    for app in (APP, "blog"):
        await keep(db, app, router_line("12:50"))
    await folded(db)

    assert sorted(await steps(db)) == ["acknowledged", "opened", "opened", "resolved"]


async def test_in_silence_the_wall_clock_lets_it_escalate_but_not_while_lines_wait(db: Database) -> None:
    now = datetime.now(UTC)
    await keep(db, APP, boot_timeout("web.1", now - timedelta(minutes=31)))
    await folded(db)
    timers = Timers(db, ack_lapse=timedelta(hours=4))
    assert await timers.turn(LONG_AGO) == 0  # it has just been heard
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - interval '11 seconds'"))
        just_now = await conn.scalar(text("select now()"))
    assert await timers.turn(just_now) == 0  # the worker has just begun to listen
    await keep(db, APP, router_line(now - timedelta(minutes=31)))
    assert await timers.turn(LONG_AGO) == 0  # a line waits
    async with db.begin() as conn:
        await conn.execute(text("delete from pending"))
    assert await timers.turn(LONG_AGO) == 1

    assert await steps(db) == ["opened", "escalated"]


async def test_an_acknowledgement_lapses_and_the_incident_is_open_again(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    [incident] = await folded(db)
    await actions.acknowledge(db, incident.id, version=None, actor="operator")
    assert [one.status for one in await folded(db)] == ["acknowledged"]
    async with db.begin() as conn:
        await conn.execute(text("update incidents set acknowledged_at = acknowledged_at - interval '4 hours'"))
    [after] = await folded(db)

    assert (after.status, after.acknowledged_at) == ("open", None)
    assert await steps(db) == ["opened", "acknowledged", "lapsed"]


async def flapping(db: Database, *, times: int) -> Incident:
    """An incident of `webauthn_memory_store` that comes and goes every 11 minutes."""
    for number in range(times + 1):
        begins = NOON + timedelta(minutes=11 * number)
        await keep(db, APP, message("app", "web.1", MEMORY, begins))
        ended = MEMORY.replace("memory", "redis")
        for minute in (1, 5, 10):
            await keep(db, APP, message("app", "web.1", ended, begins + timedelta(minutes=minute, seconds=20)))
    [incident] = await folded(db)
    return incident


async def test_what_is_reopened_three_times_in_an_hour_flaps_until_it_is_stable(db: Database) -> None:
    incident = await flapping(db, times=4)
    assert incident.flapping_since == NOON + timedelta(minutes=33)
    flags = (
        "select type, incident->>'flapping', note is not null from transitions where type = 'reopened' order by number"
    )
    assert await rows(db, flags) == [
        ("reopened", "false", False),
        ("reopened", "false", False),
        ("reopened", "true", True),
        ("reopened", "true", False),
    ]
    await keep(db, APP, router_line(NOON + timedelta(minutes=44 + 10 + 15 + 1)))
    [after] = await folded(db)

    assert (after.flapping_since, after.status) == (None, "resolved")
    assert (await steps(db, "webauthn_memory_store"))[-2:] == ["resolved", "settled"]


async def test_what_is_reopened_twice_does_not_flap(db: Database) -> None:
    assert (await flapping(db, times=2)).flapping_since is None


async def test_two_workers_take_each_timer_once(db: Database) -> None:
    for n in range(20):
        await keep(db, f"app{n}", boot_timeout("web.1", "12:00"), router_line("12:31"))
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    both = [Timers(db, ack_lapse=timedelta(hours=4)) for _ in range(2)]
    await asyncio.gather(*(one.turn(LONG_AGO) for one in both))

    assert (await steps(db)).count("escalated") == 20
