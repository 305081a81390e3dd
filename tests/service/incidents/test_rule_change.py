"""Rules that are others than before: what only the old ones kept open is closed, and says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents import rule_change
from service.incidents.rule_change import GONE, OTHERWISE
from service.incidents.watch import Watch
from service.store.database import Database
from vocabulary import boot_timeout, dropped, message, router_line, up

APP = "raxx-api-prod"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def book(**fields: Any) -> RuleBook:
    """The built-in rules with one retuned."""
    return RuleBook([(fields, "drainwatch.toml")] if fields else [])


async def fold(db: Database, rules: RuleBook, *, holder: str = "one") -> Watch:
    watch = Watch(db, rules, lambda app: "FLAG_", holder=holder)
    while await watch.turn(LONG_AGO):
        pass
    return watch


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def incidents(db: Database) -> list[Any]:
    return await rows(db, "select rule, status from incidents order by rule")


async def steps(db: Database) -> list[Any]:
    return await rows(db, "select type, note from transitions order by made_at, number")


H12 = [router_line(f"12:00:{n:02d}", code="H12") for n in range(12)]


async def test_an_incident_whose_rule_is_gone_is_closed_with_a_note(db: Database) -> None:
    await keep(db, APP, *H12)
    await fold(db, book())
    await keep(db, APP, router_line("12:01"))
    await fold(db, book(name="request_timeouts", enabled=False))
    assert await incidents(db) == [("request_timeouts", "resolved")]
    assert await steps(db) == [("opened", None), ("resolved", GONE)]
    assert await rows(db, "select count(*) from rule_states where rule = 'request_timeouts'") == [(0,)]


async def test_what_the_new_numbers_would_not_have_opened_is_closed_with_a_note(db: Database) -> None:
    await keep(db, APP, *H12)
    await fold(db, book())
    await keep(db, APP, router_line("12:01"))
    await fold(db, book(name="request_timeouts", count=20))
    assert await steps(db) == [("opened", None), ("resolved", OTHERWISE)]


async def test_what_the_new_numbers_open_too_goes_on_and_is_not_told_again(db: Database) -> None:
    await keep(db, APP, *H12)
    await fold(db, book())
    await keep(db, APP, router_line("12:01"))
    await fold(db, book(name="request_timeouts", count=11))
    assert await incidents(db) == [("request_timeouts", "open")]
    await keep(db, APP, router_line("12:09"))
    await fold(db, book(name="request_timeouts", count=11))
    assert [step for step, _ in await steps(db)] == ["opened", "resolved"]


async def test_what_only_the_new_numbers_open_is_opened_where_something_was_counted_already(db: Database) -> None:
    await keep(db, APP, *H12[:7])
    await fold(db, book())
    assert await incidents(db) == []
    await keep(db, APP, router_line("12:01"))
    await fold(db, book(name="request_timeouts", count=5))
    assert await incidents(db) == [("request_timeouts", "open")]


async def test_other_words_are_no_other_rule(db: Database) -> None:
    await keep(db, APP, *H12)
    await fold(db, book())
    before = await rows(db, "select state from rule_states where rule = 'request_timeouts'")
    await keep(db, APP, router_line("12:01"))
    await fold(db, book(name="request_timeouts", title="slow", severity="error"))
    assert await rows(db, "select state from rule_states where rule = 'request_timeouts'") == before


async def test_a_silent_app_is_seen_to_when_a_worker_starts(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    await fold(db, book())
    async with db.begin() as conn:
        await rule_change.wake_changed(conn, book())
    assert await rows(db, "select wake_at from clocks") == [(None,)]
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - interval '1 hour'"))
        await rule_change.wake_changed(conn, book(name="boot_timeout", enabled=False))
    assert await rows(db, "select wake_at = newest_at from clocks") == [(True,)]
    watch = Watch(db, book(name="boot_timeout", enabled=False), lambda app: "FLAG_", holder="two")
    async with db.begin() as conn:
        await conn.execute(text("update leases set expires_at = now() - interval '1 second'"))
    assert await watch.turn(LONG_AGO)
    assert await steps(db) == [("opened", None), ("resolved", GONE)]


async def test_gaps_are_shown_on_the_incident_and_hold_back_its_end(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"), up("web.1", "12:00:30"))
    await keep(db, APP, dropped(40, "12:01", "12:03"))
    await keep(db, APP, message("app", "web.1", "x", "12:05:40"))
    await fold(db, book())
    [(status, gaps)] = await rows(db, "select status, gaps from incidents where rule = 'boot_timeout'")
    first = {
        "from": "2026-05-11T12:01:00.000000Z",
        "to": "2026-05-11T12:03:00.000000Z",
        "number": 40,
        "reason": "L10",
    }
    assert (status, gaps) == ("open", [first])
    await keep(db, APP, message("app", "web.1", "x", "12:07:40"))
    await fold(db, book())
    ended = await rows(db, "select resolved_at, gaps from incidents where rule = 'boot_timeout'")
    assert [(f"{at:%H:%M:%S}", gaps) for at, gaps in ended] == [("12:07:30", [first])]


@pytest.mark.parametrize(("minutes_ago", "open_ones"), [(7, []), (60, [("drain_silent", "open")])])
async def test_a_silent_app_is_folded_and_then_left_alone(db: Database, minutes_ago: int, open_ones: list[Any]) -> None:
    last = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    await keep(db, APP, *[message("app", "web.1", "x", last - timedelta(minutes=n)) for n in range(20)])
    watch = await fold(db, book())
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - interval '1 hour'"))
    for _ in range(10):
        if not await watch.turn(LONG_AGO):
            break
    else:
        raise AssertionError("it is never done with the app")
    assert await incidents(db) == open_ones
