"""From lines to what is told: the built-in rules, the worker's loop, and the gate, over real rows."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents import explain
from service.incidents.watch import Watch
from service.notify import endpoints, silences
from service.notify.fan_out import fan_out
from service.store import clocks
from service.store.database import Database
from vocabulary import boot_timeout, crash, router_line, state, up

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def told(db: Database) -> list[tuple[str, Any]]:
    """Folds what waits, fans it out, and gives all that was told so far: the type and the rule, or the rules."""
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    async with db.begin() as conn:
        await fan_out(conn, public_url="https://logs.example.com", now=await clocks.now(conn))
    async with db.read() as conn:
        rows = await conn.execute(text("select type, payload from deliveries order by created_at, id"))
        return [(row.type, _about(json.loads(row.payload)["data"])) for row in rows]


def _about(data: Any) -> Any:
    return [one["rule"] for one in data["incidents"]] if "incidents" in data else data["incident"]["rule"]


async def test_a_crash_loop_explains_its_timeouts_and_what_outlives_it_is_told_then(db: Database) -> None:
    await endpoints.add(db, url="https://hooks.example.com/x")
    await keep(
        db, APP, crash("web.1", "12:00"), state("web.1", "crashed", "starting", "12:00:01"), crash("web.1", "12:01")
    )
    await keep(db, APP, *(router_line(f"12:02:{n:02}", code="H12", service="30001ms") for n in range(12)))
    assert await told(db) == [("incident.opened", "crash_loop")]
    says = (await explain.at_time(db, app=APP, at=datetime(2026, 5, 11, 12, 3, tzinfo=UTC)))["says"]
    assert "request_timeouts of shop stood since" in says
    await keep(db, APP, up("web.1", "12:03"))
    for minute in range(4, 10):
        lines = (router_line(f"12:{minute:02}:{n:02}", code="H12", service="30001ms") for n in range(5))
        await keep(db, APP, *lines)

    assert sorted((await told(db))[1:]) == [
        ("incident.opened", "request_timeouts"),
        ("incident.resolved", "crash_loop"),
    ]


async def test_a_silence_over_lines_of_another_day_hushes_what_they_tell_now(db: Database) -> None:
    await endpoints.add(db, url="https://hooks.example.com/x")
    await silences.add(db, match="app:shop rule:boot_timeout", author="on call", comment="the base image")
    await keep(db, APP, boot_timeout("web.1", "12:00"), up("web.1", "12:01"), router_line("12:07"))
    assert await told(db) == []
    await keep(db, APP, boot_timeout("web.1", "12:08"))
    assert await told(db) == []
    await silences.end(db, 1)

    assert await told(db) == [("silence.ended", ["boot_timeout"])]
