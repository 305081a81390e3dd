"""The worker's loop over real rows: what is pending becomes incidents, in one transaction, once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from keeping import keep
from processes import eventually
from service.detect.rule_book import RuleBook
from service.incidents import actions
from service.incidents.watch import Watch
from service.store import clocks, incidents, leases, turns
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import NOON, api, boot_timeout, crash, exited, message, router_line, seconds_after, state, up

APP = "raxx-api-prod"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CONSOLE = "raxx-console-prod"


def watch_of(db: Database, *, holder: str = "one") -> Watch:
    return Watch(db, RuleBook(), lambda app: "FLAG_", holder=holder)


async def folded(db: Database, *, holder: str = "one") -> list[Incident]:
    """All incidents, oldest first, once nothing is pending."""
    watch = watch_of(db, holder=holder)
    for _ in range(10):
        if not await watch.turn(LONG_AGO):
            break
    async with db.read() as conn:
        return list(reversed(await incidents.page(conn, limit=100)))


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def silence(db: Database, *, seconds: int = 60) -> None:
    """As if the last lines had come so long ago."""
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - make_interval(secs => :s)"), {"s": seconds})


async def test_two_crashes_open_one_incident_with_all_that_is_known(db: Database) -> None:
    await keep(
        db,
        APP,
        api("Deploy 193d1419", "11:50"),
        api("Release v42 created", "11:50"),
        exited("web.1", 1, "12:00"),
        crash("web.1", "12:00:01", before="starting"),
        message("app", "web.1", "ImportError: no module named redis", "16:59:59"),
        exited("web.1", 1, "17:00"),
        crash("web.1", "17:00:01", before="starting"),
    )
    [incident] = await folded(db)
    assert (incident.rule, incident.subject, incident.severity.label) == ("crash_loop", "web", "critical")
    assert (incident.status, incident.count, incident.opened_at) == ("open", 2, seconds_after("17:00:01", 0))
    assert incident.release is not None
    assert incident.release["version"] == "v42"
    assert incident.release["seconds_before"] == 601
    assert "ends by itself with an error" in incident.diagnosis
    assert any("heroku rollback --app raxx-api-prod" in one for one in incident.remedies)
    assert [one["fields"]["to"] for one in incident.evidence] == ["crashed", "crashed"]
    assert [one["message"] for one in incident.context if one["own"]] == ["State changed from starting to crashed"]
    assert await rows(db, "select type, number from transitions") == [("opened", 1)]
    assert await rows(db, "select count(*) from pending") == [(0,)]


async def test_a_crash_loop_resolves_when_every_dyno_has_been_up_for_five_minutes(db: Database) -> None:
    await keep(
        db, APP, crash("web.1", "12:00"), state("web.1", "crashed", "starting", "12:00:01"), crash("web.1", "12:03")
    )
    await keep(db, APP, up("web.1", "12:10"))
    assert [one.status for one in await folded(db)] == ["open"]
    await keep(db, APP, router_line("12:15:09"))
    assert [one.status for one in await folded(db)] == ["open"]
    await keep(db, APP, router_line("12:15:10"))
    [incident] = await folded(db)
    assert (incident.status, incident.resolved_at) == ("resolved", seconds_after("12:15", 0))
    assert await rows(db, "select type from transitions order by number") == [("opened",), ("resolved",)]


async def test_what_comes_back_within_fifteen_minutes_is_reopened_and_later_is_another(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"), up("web.1", "12:02"), router_line("12:08"))
    await keep(db, APP, boot_timeout("web.1", "12:12"), up("web.1", "12:14"), router_line("12:20"))
    await keep(db, APP, boot_timeout("web.1", "13:00"))
    found = [one for one in await folded(db) if one.rule == "boot_timeout"]
    assert [(one.status, one.count) for one in found] == [("resolved", 2), ("open", 1)]
    types = await rows(db, "select type from transitions where incident->>'rule' = 'boot_timeout' order by at, number")
    assert [one[0] for one in types] == ["opened", "resolved", "reopened", "resolved", "opened"]


async def test_a_third_boot_timeout_raises_the_severity(db: Database) -> None:
    for minute in ("12:00", "12:10", "12:20"):
        await keep(db, APP, state("web.1", "crashed", "starting", minute), boot_timeout("web.1", f"{minute}:59"))
    found = {one.rule: one for one in await folded(db)}
    assert found["boot_timeout"].severity.label == "critical"
    raised = await rows(db, "select type from transitions where incident->>'rule' = 'boot_timeout' order by number")
    assert raised == [("opened",), ("raised",)]


def promotion(step: str, ts: str | datetime, **pairs: str) -> bytes:
    said = " ".join(f"{key}={value}" for key, value in pairs.items())
    base = "promotion_id=42 flag_key=new_checkout target_app=raxx-console-prod"
    return message("app", "web.1", f"INFO console.flags: console.flag.promotion.{step} {base} {said}", ts)


STARTED = promotion("started", "12:00", state="deploying", new_value="1")
CONFIG_SET = api("Set FLAG_NEW_CHECKOUT config vars", "12:00:05")
RESTARTED = message("heroku", "web.1", "Restarting", "12:00:07")


@pytest.mark.parametrize(
    ("between", "said"),
    [
        ([CONFIG_SET, RESTARTED], "the worker thread was killed before its commit"),
        ([CONFIG_SET], "no restart of its dynos was seen"),
        ([], "the PATCH never succeeded"),
        (
            [
                promotion(
                    "write_failed", "12:00:05", state="deploying", reason='"FAILED: PATCH config-vars answered 403"'
                )
            ],
            "The write to Heroku failed",
        ),
    ],
    ids=["killed", "no restart", "never set", "write failed"],
)
async def test_a_stuck_promotion_is_told_by_what_the_target_apps_drain_showed(
    db: Database, between: list[bytes], said: str
) -> None:
    await keep(db, CONSOLE, STARTED, *between)
    assert [one.rule for one in await folded(db) if one.rule == "stuck_promotion"] == []
    await keep(db, CONSOLE, router_line("12:30:10"))
    incident = next(one for one in await folded(db) if one.rule == "stuck_promotion")
    assert (incident.subject, incident.opened_at) == ("42", NOON + timedelta(minutes=30))
    assert said in incident.diagnosis
    assert "heroku config:get FLAG_NEW_CHECKOUT --app raxx-console-prod" in incident.remedies[0]
    await keep(db, CONSOLE, promotion("ops_complete", "12:40", state="deployed"))
    assert next(one for one in await folded(db) if one.rule == "stuck_promotion").status == "resolved"


async def test_a_target_app_without_a_drain_is_not_taken_for_one_that_did_nothing(db: Database) -> None:
    elsewhere = message(
        "app",
        "web.1",
        "INFO console.flags: console.flag.promotion.started promotion_id=7 flag_key=a target_app=elsewhere state=deploying",
        "12:00",
    )
    await keep(db, CONSOLE, elsewhere, router_line("12:31"))
    [incident] = await folded(db)
    assert "has no drain of elsewhere" in incident.diagnosis


async def test_in_silence_a_timer_fires_ten_seconds_after_the_last_line(db: Database) -> None:
    now = datetime.now(UTC)
    await keep(db, CONSOLE, promotion("started", now - timedelta(minutes=31), state="deploying"))
    assert await folded(db) == []
    await silence(db, seconds=9)
    assert await folded(db) == []
    await silence(db, seconds=2)
    [incident] = await folded(db)
    assert incident.rule == "stuck_promotion"


async def test_time_in_which_no_worker_was_there_is_no_silence(db: Database) -> None:
    now = datetime.now(UTC)
    await keep(db, CONSOLE, promotion("started", now - timedelta(minutes=31), state="deploying"))
    await folded(db)
    await silence(db, seconds=3600)
    async with db.read() as conn:
        just_now = await clocks.now(conn)
    assert not await watch_of(db).turn(just_now)


async def test_a_memory_store_is_critical_on_production_and_nothing_elsewhere(db: Database) -> None:
    line = message("app", "web.1", "webauthn.challenge_stored store=memory user_id=7 challenge_hash=3fa94c1b", "12:00")
    await keep(db, APP, line)
    await keep(db, "raxx-api-staging", line, environment="staging")
    [incident] = await folded(db)
    assert (incident.rule, incident.app, incident.severity.label) == ("webauthn_memory_store", APP, "critical")


async def test_only_the_holder_of_the_newest_token_may_commit(db: Database) -> None:
    await keep(db, APP, crash("web.1", "12:00"))
    async with db.begin() as conn:
        [held] = await leases.claim(conn, holder="one", started_at=LONG_AGO, most=5)
        assert await leases.claim(conn, holder="two", started_at=LONG_AGO, most=5) == []
    async with db.begin() as conn:
        await conn.execute(text("update leases set expires_at = now() - interval '1 second'"))
    async with db.begin() as conn:
        [taken] = await leases.claim(conn, holder="two", started_at=LONG_AGO, most=5)
        assert taken.token == held.token + 1
    async with db.begin() as conn:
        assert not await turns.begin(conn, held, most=5)
        assert await turns.begin(conn, taken, most=5)


async def test_another_worker_goes_on_where_the_first_one_stopped(db: Database) -> None:
    await keep(db, APP, crash("web.1", "12:00"))
    await folded(db, holder="one")
    async with db.begin() as conn:
        await leases.release_all(conn, holder="one")
    await keep(db, APP, state("web.1", "crashed", "starting", "12:00:01"), crash("web.1", "14:00"))
    [incident] = await folded(db, holder="two")
    assert incident.count == 2


async def test_a_batch_that_fails_leaves_everything_pending(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(
        db, APP, crash("web.1", "12:00"), state("web.1", "crashed", "starting", "12:01"), crash("web.1", "12:02")
    )

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the process dies here")

    watch = watch_of(db)
    with monkeypatch.context() as patched:
        patched.setattr(turns, "end", fail)
        await watch.turn(LONG_AGO)
    assert not await watch.turn(LONG_AGO)  # the app is left alone for a while
    assert await rows(db, "select count(*) from pending") == [(1,)]
    assert await rows(db, "select count(*) from incidents") == [(0,)]
    assert len(await folded(db)) == 1


async def test_a_line_too_far_behind_its_apps_clock_is_evidence_only(db: Database) -> None:
    await keep(db, APP, crash("web.1", "12:00"), router_line("12:30"))
    await folded(db)
    await keep(db, APP, state("web.1", "crashed", "starting", "12:01"), crash("web.1", "12:19"))
    assert await folded(db) == []
    await keep(db, APP, crash("web.1", "12:21"))
    assert [one.rule for one in await folded(db)] == ["crash_loop"]


async def test_an_incident_that_a_person_resolved_is_reopened_when_it_goes_on(db: Database) -> None:
    now = datetime.now(UTC)
    ago = [now - timedelta(seconds=seconds) for seconds in (30, 25, 20)]
    await keep(db, APP, crash("web.1", ago[0]), state("web.1", "crashed", "starting", ago[1]), crash("web.1", ago[2]))
    [incident] = await folded(db)
    resolved = await actions.resolve(db, incident.id, version=None, actor="operator")
    assert resolved.status == "resolved"
    assert [one.status for one in await folded(db)] == ["resolved"]
    later = datetime.now(UTC)
    earlier = later - timedelta(milliseconds=5)
    await keep(db, APP, state("web.1", "crashed", "starting", earlier), crash("web.1", later))
    [again] = await folded(db)
    assert (again.status, again.id) == ("open", incident.id)
    assert (incident.count, again.count) == (2, 3)  # the crashes that there were, each once


async def test_an_end_that_late_lines_have_moved_is_mended_without_telling_anyone(db: Database) -> None:
    failed = promotion("failed", "12:00:02", state="failed")
    await keep(db, CONSOLE, failed, promotion("deployed", "12:00:09", state="deployed"))
    assert [one.resolved_at for one in await folded(db)] == [seconds_after("12:00:09", 0)]
    await keep(db, CONSOLE, promotion("deployed", "12:00:04", state="deployed"))
    assert [one.resolved_at for one in await folded(db)] == [seconds_after("12:00:04", 0)]
    assert await rows(db, "select type from transitions order by number") == [("opened",), ("resolved",)]


async def test_an_app_whose_turn_takes_long_keeps_no_other_waiting(db: Database) -> None:
    await keep(db, APP, up("web.1"))
    await folded(db)
    stop = asyncio.Event()
    locked = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    opened = "select name from incidents join apps on apps.id = app_id"
    async with db.begin() as conn:
        await conn.execute(text("select from clocks for update"))  # without which no fold of the app ends
        await keep(db, APP, boot_timeout("web.1"))
        running = asyncio.create_task(watch_of(db).run(stop))
        await eventually(lambda: rows(db, locked), bool)
        await keep(db, CONSOLE, boot_timeout("web.1"))
        assert await eventually(lambda: rows(db, opened), bool) == [(CONSOLE,)]
    stop.set()
    await running


async def test_a_turn_under_way_in_another_process_is_not_waited_for_even_past_its_deadline(db: Database) -> None:
    for app in (APP, CONSOLE):
        await keep(db, app, up("web.1"))
    async with db.begin() as conn:
        await leases.claim(conn, holder="one", started_at=LONG_AGO, most=1)
        await conn.execute(text("update leases set expires_at = now() - interval '1 second'"))
    async with db.begin() as under_way:
        await under_way.execute(text("update leases set expires_at = now() + interval '3 seconds'"))
        async with asyncio.timeout(30), db.begin() as conn:
            [other] = await leases.claim(conn, holder="two", started_at=LONG_AGO, most=5)
    assert other.app == CONSOLE
