"""Frames that are still on a web process's disk: no clock runs ahead of them, and what they say counts where it belongs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from keeping import READING, drain_of, keep
from parsers.frame import read_frame
from parsers.line import Origin
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.ingest.commit import commit_late
from service.ingest.posted import Named
from service.store import clocks, incidents, spools
from service.store.database import Database
from service.store.frames import FrameKey
from service.store.incidents import Incident
from vocabulary import boot_timeout, crash, exited, frame_of, message, router_line, up

APP = "raxx-api-prod"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def watch_of(db: Database) -> Watch:
    return Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")


async def folded(db: Database, *, started_at: datetime = LONG_AGO) -> list[Incident]:
    """All incidents once nothing more can be folded, oldest first."""
    watch = watch_of(db)
    for _ in range(10):
        if not await watch.turn(started_at):
            break
    async with db.read() as conn:
        return list(reversed(await incidents.page(conn, limit=100)))


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def say(db: Database, since: datetime | None, *, holder: str = "web") -> None:
    conn = await db.asyncpg()
    await spools.say(conn, holder, since)
    await conn.close()


async def drain(db: Database, *frames: tuple[datetime, Sequence[bytes]]) -> None:
    """Commits frames that came some time ago, as the spool does."""
    sender = await drain_of(db, APP)
    named = [
        Named(
            sender,
            read_frame(frame_of(*messages), Origin(APP, "production"), received_at, READING),
            FrameKey(sender.app_id, sender.id, uuid4().bytes),
            None,
            received_at=received_at,
        )
        for received_at, messages in frames
    ]
    conn = await db.asyncpg()
    await commit_late(conn, named, careful=False)
    await conn.close()


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def test_what_was_spooled_for_an_hour_counts_though_newer_lines_were_committed_before_it(db: Database) -> None:
    await say(db, ago(60))
    await keep(db, APP, message("app", "web.1", "all is well again", ago(0)))
    assert not await watch_of(db).turn(LONG_AGO)  # what cannot be folded yet keeps nobody busy
    assert await rows(db, "select count(*) from clocks") == [(0,)]
    await drain(
        db,
        (ago(60), [exited("web.1", 1, ago(60)), crash("web.1", ago(60), before="starting")]),
        (ago(58), [exited("web.1", 1, ago(58)), crash("web.1", ago(58), before="starting")]),
        (ago(50), [up("web.1", ago(50))]),
    )
    await say(db, None)
    [incident] = await folded(db)
    assert (incident.rule, incident.count) == ("crash_loop", 2)
    assert incident.resolved_at is not None
    assert incident.resolved_at < ago(40)


async def test_what_is_drained_is_folded_up_to_what_still_waits(db: Database) -> None:
    first, second = ago(60), ago(30)
    await say(db, second)
    await drain(db, (first, [boot_timeout("web.1", first)]), (second, [boot_timeout("web.1", second)]))
    [incident] = await folded(db)
    assert incident.count == 1
    assert await rows(db, "select received_at from pending") == [(second,)]
    await say(db, None)
    assert {one.rule: one.count for one in await folded(db)}["boot_timeout"] == 2


async def test_no_silence_ends_an_incident_while_frames_are_still_spooled(db: Database) -> None:
    began = ago(60)
    came_up = [boot_timeout("web.1", began), up("web.1", began + timedelta(seconds=5))]
    await drain(db, (began, came_up), (ago(57), [router_line(ago(57))]))
    await say(db, ago(56))
    assert [one.status for one in await folded(db)] == ["open"]
    assert not await watch_of(db).turn(LONG_AGO)
    await say(db, None)
    assert [one.status for one in await folded(db)] == ["resolved"]


async def test_after_an_outage_nothing_is_folded_until_every_web_process_has_said_what_it_kept(db: Database) -> None:
    await say(db, None)
    async with db.read() as conn:
        back_at = await clocks.now(conn)
    await keep(db, APP, boot_timeout("web.1", ago(0)))
    assert await folded(db, started_at=back_at) == []
    await say(db, None)
    assert len(await folded(db, started_at=back_at)) == 1


async def test_a_web_process_that_is_gone_holds_nothing_up_for_long(db: Database) -> None:
    await say(db, None, holder="dead")
    async with db.begin() as conn:
        await conn.execute(text("update spools set seen_at = seen_at - interval '1 hour'"))
        now = await clocks.now(conn)
    await keep(db, APP, boot_timeout("web.1", ago(0)))
    assert await folded(db, started_at=now) == []
    assert len(await folded(db, started_at=now - timedelta(seconds=3))) == 1


async def test_each_second_of_an_outage_becomes_what_one_commit_would_have_made_then(db: Database) -> None:
    moment = ago(60).replace(microsecond=0)
    times = [moment + timedelta(seconds=seconds) for seconds in (0, 0.2, 0.9, 1.1, 5)]
    await drain(db, *((at, [message("app", "web.1", f"at {at}", at)]) for at in times))
    kept = await rows(db, "select received_at, lines from chunks order by received_at")
    assert kept == [(times[2], 3), (times[3], 1), (times[4], 1)]
