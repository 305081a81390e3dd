"""An app that is not heard any more, and never spoke often enough for its silence to be a gap: nothing of it ends by time."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import api, boot_timeout, message, up

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def watch_of(db: Database) -> Watch:
    return Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")


async def the_incident(db: Database, *, heard_ago: float | None = None) -> Incident:
    """The boot_timeout once nothing is to be folded, as if its last lines had come so many minutes ago."""
    if heard_ago is not None:
        async with db.begin() as conn:
            await conn.execute(text("update clocks set heard_at = :at"), {"at": ago(heard_ago)})
    watch = watch_of(db)
    for _ in range(20):
        if not await watch.turn(LONG_AGO):
            break
    else:
        raise AssertionError("it is folded again and again")
    async with db.read() as conn:
        [found] = [one for one in await incidents.page(conn, limit=10) if one.rule == "boot_timeout"]
    return found


async def came_up(db: Database, *, minutes: float) -> datetime:
    """A dyno that did not boot in time, and was up so many minutes ago; when that was."""
    at = ago(minutes)
    await keep(db, APP, boot_timeout("web.1", at - timedelta(seconds=5)), up("web.1", at))
    assert (await the_incident(db)).status == "open"
    return at


async def test_an_app_that_is_not_heard_any_more_is_not_well_and_costs_nothing_while_it_waits(db: Database) -> None:
    at = await came_up(db, minutes=30)
    assert (await the_incident(db, heard_ago=30)).status == "open"
    assert not await watch_of(db).turn(LONG_AGO)
    await keep(db, APP, message("app", "web.1", "x", ago(0)))
    ended = await the_incident(db)

    assert (ended.status, ended.resolved_at) == ("resolved", at + timedelta(minutes=5))


async def test_a_word_less_than_three_minutes_before_the_end_is_enough(db: Database) -> None:
    at = await came_up(db, minutes=30)
    await keep(db, APP, message("app", "web.1", "x", at + timedelta(minutes=3)))
    assert (await the_incident(db)).status == "open"
    ended = await the_incident(db, heard_ago=27)

    assert (ended.status, ended.resolved_at) == ("resolved", at + timedelta(minutes=5))


async def test_an_app_that_is_scaled_away_is_not_waited_for(db: Database) -> None:
    at = await came_up(db, minutes=30)
    down = at + timedelta(minutes=1)
    await keep(db, APP, api("Scaled to web@0:Standard-1X", down), message("heroku", "web.1", "Stopping", down))
    assert (await the_incident(db)).status == "open"

    assert (await the_incident(db, heard_ago=29)).status == "resolved"
