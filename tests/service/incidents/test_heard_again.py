"""An app that was silent and is heard again: known with its first line, not when that line's minute is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import message

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def word(at: datetime) -> bytes:
    return message("app", "web.1", "x", at)


async def folded(db: Database, *, silent_for: float = 0) -> list[Incident]:
    """The incidents, once nothing is pending; as if the last lines had come so many minutes ago."""
    async with db.begin() as conn:
        back = text("update clocks set heard_at = heard_at - make_interval(mins => :m)")
        await conn.execute(back, {"m": int(silent_for)})
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    for _ in range(20):
        if not await watch.turn(LONG_AGO):
            break
    async with db.read() as conn:
        return list(reversed(await incidents.page(conn, limit=100)))


async def heartbeats(db: Database) -> list[tuple[Any, ...]]:
    """When each was, and how many lines it says, the last one last."""
    async with db.read() as conn:
        rows = await conn.execute(
            text("select ts, fields->'lines' as n from events where kind = 'heartbeat' order by ts")
        )
        return [(row.ts, row.n) for row in rows]


async def fell_silent(db: Database) -> None:
    """The app spoke every minute, and then not for half an hour."""
    now = datetime.now(UTC)
    await keep(db, APP, *[word(now - MINUTE * ago) for ago in range(45, 30, -1)])
    await folded(db)
    [open_one] = await folded(db, silent_for=30)
    assert (open_one.rule, open_one.status) == ("drain_silent", "open")


async def test_a_silent_drain_is_over_with_the_first_line_that_is_heard(db: Database) -> None:
    await fell_silent(db)
    at = datetime.now(UTC)
    await keep(db, APP, word(at))
    [incident] = await folded(db)

    assert incident.status == "resolved"
    assert incident.resolved_at in [
        minute_of(one) + MINUTE - timedelta(microseconds=1) for one in (at, datetime.now(UTC))
    ]


async def test_a_minute_that_was_heard_early_is_one_heartbeat_with_all_its_lines_once_it_is_over(db: Database) -> None:
    await fell_silent(db)
    before = len(await heartbeats(db))
    at = datetime.now(UTC)
    await keep(db, APP, word(at))
    await folded(db)
    assert [lines for _, lines in (await heartbeats(db))[before:]] == [1]
    await keep(db, APP, word(at), word(at))
    await folded(db)
    await folded(db, silent_for=2)
    async with db.begin() as conn:
        await conn.execute(text("update clocks set minute_at = null, newest_at = newest_at + interval '2 minutes'"))
    await keep(db, APP, word(at))
    [incident] = await folded(db)

    [(when, lines)] = (await heartbeats(db))[before:]
    assert (when, lines) == (incident.resolved_at, 4)


async def test_an_app_that_goes_on_speaking_has_no_heartbeat_before_its_minute_is_over(db: Database) -> None:
    at = datetime.now(UTC)
    await keep(db, APP, word(at))
    await folded(db)
    await keep(db, APP, word(at))
    await folded(db)

    assert await heartbeats(db) == []


async def test_what_is_heard_again_of_long_ago_has_no_heartbeat_before_its_minute_is_over(db: Database) -> None:
    months = minute_of(datetime.now(UTC)) + timedelta(days=-100, seconds=30)
    await keep(db, APP, word(months))
    await folded(db)
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - interval '5 minutes'"))
    await keep(db, APP, word(months + MINUTE))
    await folded(db)

    [(when, _)] = await heartbeats(db)
    assert minute_of(when) == minute_of(months)
