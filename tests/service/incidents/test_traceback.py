"""The stack trace of an incident: found near its first event, also where it comes in pieces, or afterwards."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents.timers import Timers
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import crash, message, state

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/web.py", line 7, in <module>',
    "    import redis",
    "ModuleNotFoundError: No module named 'redis'",
)


def printed(*lines: str, dyno: str = "web.1", at: str = "12:00:02") -> list[bytes]:
    return [message("app", dyno, line, f"{at}.{number:03}") for number, line in enumerate(lines)]


async def crashes(db: Database) -> None:
    await keep(db, APP, crash("web.1", "12:00:05"), state("web.1", "crashed", "starting", "12:00:06"))
    await keep(db, APP, crash("web.1", "12:05"))


async def the_incident(db: Database) -> Incident:
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    async with db.read() as conn:
        [found] = await incidents.page(conn, limit=10)
    return found


async def looked_again(db: Database) -> Incident:
    """As if the time had come."""
    async with db.begin() as conn:
        await conn.execute(text("update incidents set traceback_at = now() where traceback_at is not null"))
    await Timers(db, ack_lapse=timedelta(hours=4)).turn(LONG_AGO)
    return await the_incident(db)


async def test_the_trace_that_the_dyno_printed_before_it_crashed_is_the_incidents(db: Database) -> None:
    other = printed(*TRACE[:3], "KeyError: 'another dyno'", dyno="web.2")
    early = printed(*TRACE[:3], "KeyError: 'long before'", at="11:57")
    await keep(db, APP, *early, *printed(*TRACE), *other, message("app", "web.1", "bye", "12:00:03"))
    await crashes(db)

    assert (await the_incident(db)).traceback == list(TRACE)


async def test_a_trace_that_comes_in_two_frames_is_completed(db: Database) -> None:
    await keep(db, APP, *printed(*TRACE[:2]))
    await crashes(db)
    assert (await the_incident(db)).traceback == list(TRACE[:2])
    await keep(db, APP, *printed(*TRACE)[2:], message("app", "web.1", "bye", "12:00:03"))

    assert (await looked_again(db)).traceback == list(TRACE)


async def test_a_trace_that_comes_after_the_incident_is_found(db: Database) -> None:
    await crashes(db)
    assert (await the_incident(db)).traceback is None
    await keep(db, APP, *printed(*TRACE))

    assert (await looked_again(db)).traceback == list(TRACE)


async def test_after_a_minute_nobody_looks_any_more(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await crashes(db)
    assert (await the_incident(db)).traceback_at is not None
    monkeypatch.setattr("service.incidents.traceback._LOOKS_FOR", timedelta(0))

    assert (await looked_again(db)).traceback_at is None
