"""Minutes of traffic over real rows: added up once, and closed into events once, whoever does it and however lines come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from keeping import READING, keep
from parsers.frame import read_frame
from parsers.line import Origin
from parsers.traffic import Minute, minutes_of, total
from service.detect.minute_events import closes_at
from service.detect.rule import Rule
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store import traffic
from service.store.database import Database
from vocabulary import message, router_line

APP = "raxx-api-prod"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# A whole minute, some time ago: lines from the future would count now.
NOON = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)


MANY_ERRORS = RuleBook(
    [
        (
            {
                "name": "many_errors",
                "detector": "threshold",
                "match": "kind:traffic errors>0",
                "sum": "errors",
                "count": 5,
                "within": "5m",
                "severity": "error",
                "quiet": "5m",
                "title": "Errors of {app}",
                "diagnosis": "There are errors.",
                "remedies": ["heroku logs --app {app}"],
                "verify": "There are none.",
            },
            "drainwatch.toml",
        )
    ]
)


@pytest_asyncio.fixture(loop_scope="session")
async def db(emptied_url: str) -> AsyncIterator[Database]:
    """An empty database that is emptied, not made, for each test: the second app has the number 2."""
    opened = Database.open(emptied_url)
    yield opened
    await opened.close()


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def request(seconds: float, **pairs: Any) -> bytes:
    return router_line(after(seconds), **pairs)


async def fold(db: Database, *, holder: str = "one", rules: RuleBook | None = None) -> None:
    watch = Watch(db, rules or RuleBook(), lambda app: "FLAG_", holder=holder)
    for _ in range(20):
        if not await watch.turn(LONG_AGO):
            return


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def made(db: Database, kind: str) -> list[dict[str, Any]]:
    """The fields of the events of that kind, by time."""
    return [fields for (fields,) in await rows(db, f"select fields from events where kind = '{kind}' order by ts")]


async def counted(db: Database) -> Minute:
    """All traffic, kept and on its way."""
    async with db.read() as conn:
        return total([one for _, one in await traffic.between(conn, [1], since=LONG_AGO, until=datetime.now(UTC))])


async def silence(db: Database, *, seconds: int = 60) -> None:
    async with db.begin() as conn:
        await conn.execute(text("update clocks set heard_at = heard_at - make_interval(secs => :s)"), {"s": seconds})


async def test_a_minute_that_is_over_becomes_one_traffic_event_and_one_heartbeat(db: Database) -> None:
    await keep(
        db, APP, request(1, service="10ms"), request(2, status=500, service="30ms"), message("app", "web.1", "x", NOON)
    )
    await keep(db, APP, request(3, code="H12", service="30000ms", bytes=0), request(69.9))
    await fold(db)
    assert await made(db, "traffic") == []
    await keep(db, APP, request(70))
    await fold(db)
    [event] = await made(db, "traffic")
    assert event["minute"] == NOON.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert (event["requests"], event["errors"], event["bytes"], event["H12"]) == (3, 2, 26, 1)
    assert (event["status_2xx"], event["status_5xx"], event["p50_ms"]) == (1, 2, 30)
    assert [one["lines"] for one in await made(db, "heartbeat")] == [4]
    last = NOON + timedelta(minutes=1) - timedelta(microseconds=1)
    assert await rows(db, "select distinct ts from events where kind = 'traffic'") == [(last,)]


async def test_a_minute_without_requests_is_a_heartbeat_alone(db: Database) -> None:
    await keep(db, APP, message("app", "web.1", "x", NOON), message("app", "web.1", "y", after(100)))
    await fold(db)
    assert [one["lines"] for one in await made(db, "heartbeat")] == [1]
    assert await made(db, "traffic") == []


async def test_in_silence_minutes_are_closed_without_the_clock_running_ahead_of_old_lines(db: Database) -> None:
    await keep(db, APP, request(1))
    await fold(db)
    await fold(db)
    assert await made(db, "traffic") == []
    await silence(db)
    await fold(db)
    assert len(await made(db, "traffic")) == 1
    assert await rows(db, "select newest_at, minute_at from clocks") == [(after(70), None)]


async def test_a_line_that_comes_late_mends_the_event_of_its_minute(db: Database) -> None:
    await keep(db, APP, request(1, service="10ms"))
    await keep(db, APP, request(80))
    await fold(db)
    before = await rows(db, "select id from events where kind = 'traffic'")
    await keep(db, APP, request(2, status=503, service="20ms"))
    await fold(db)
    assert await rows(db, "select id from events where kind = 'traffic'") == before
    [event] = await made(db, "traffic")
    assert (event["requests"], event["errors"], event["p50_ms"]) == (2, 1, 15)
    assert [one["lines"] for one in await made(db, "heartbeat")] == [2]


async def test_a_minute_whose_first_request_comes_late_becomes_a_traffic_event_then(db: Database) -> None:
    await keep(db, APP, message("app", "web.1", "x", NOON), request(80))
    await fold(db)
    assert await made(db, "traffic") == []
    await keep(db, APP, request(2))
    await fold(db)
    assert [one["requests"] for one in await made(db, "traffic")] == [1]


async def test_rules_see_a_mended_minute_once(db: Database) -> None:
    await keep(db, APP, request(1, status=500), request(80))
    await fold(db, rules=MANY_ERRORS)
    for second in (2, 3, 4):
        await keep(db, APP, request(second, status=500))
        await fold(db, rules=MANY_ERRORS)
    assert await rows(db, "select rule from incidents") == []  # four errors, though the event said 1, 2, 3 and 4
    await keep(db, APP, request(5, status=500))
    await fold(db, rules=MANY_ERRORS)
    assert await rows(db, "select rule, count from incidents") == [("many_errors", 1)]


class FailingBook(RuleBook):
    """A worker that dies in the middle of a fold, after its minutes and before its commit."""

    def for_app(self, app: str, environment: str) -> tuple[Rule, ...]:
        raise RuntimeError("killed")


async def test_what_is_stored_counts_before_and_after_it_is_folded(db: Database) -> None:
    await keep(db, APP, request(1), request(61, status=500))
    assert ((await counted(db)).requests, (await counted(db)).errors) == (2, 1)
    await fold(db)
    await keep(db, APP, request(2))
    assert ((await counted(db)).requests, (await counted(db)).errors) == (3, 1)


async def test_several_workers_at_once_count_each_request_and_make_each_event_once(db: Database) -> None:
    for batch in range(12):
        await keep(db, APP, *[request(batch * 30 + n) for n in range(10)])
    await asyncio.gather(*[fold(db, holder=holder) for holder in ("one", "two", "three")])
    assert (await counted(db)).requests == 120
    assert [one["requests"] for one in await made(db, "traffic")] == [20] * 5
    assert [one["lines"] for one in await made(db, "heartbeat")] == [20] * 5


async def test_a_fold_that_is_killed_leaves_nothing_and_the_next_one_does_it(db: Database) -> None:
    await keep(db, APP, request(1), request(80))
    await Watch(db, FailingBook(), lambda app: "FLAG_", holder="one").turn(LONG_AGO)
    assert await rows(db, "select * from traffic") == await made(db, "traffic") == []
    await fold(db)
    assert [one["requests"] for one in await made(db, "traffic")] == [1]


async def test_lines_of_months_ago_count_and_those_of_years_ago_do_not(db: Database) -> None:
    months = NOON - timedelta(days=150)
    await keep(db, APP, router_line(months), router_line("1999-12-31T00:00:00+00:00"))
    await fold(db)
    assert await rows(db, "select minute, requests from traffic") == [(months, 1)]


async def test_a_body_of_thousands_of_minutes_is_taken(db: Database) -> None:
    await keep(db, APP, *[message("app", "web.1", "x", NOON - timedelta(minutes=n)) for n in range(3000)])
    await fold(db)
    assert await rows(db, "select count(*), sum(lines) from traffic") == [(3000, 3000)]


async def test_a_minute_says_the_same_however_its_lines_came(db: Database) -> None:
    lines = [request(n * 7 % 200, service=f"{n * n}ms", status=200 + 100 * (n % 4)) for n in range(40)]
    for line in lines:
        await keep(db, APP, line)
    await fold(db)
    await keep(db, "other", *sorted(lines))
    await fold(db)
    kept = await rows(db, "select app_id, ts, fields from events where kind = 'traffic' order by app_id, ts")
    one, other = ([event[1:] for event in kept if event[0] == app] for app in (1, 2))
    assert one == other != []


async def test_the_worker_adds_up_what_reading_finds(db: Database) -> None:
    lines = [request(n, service=f"{n}ms", code="H12" if n % 5 == 0 else None) for n in range(60)]
    await keep(db, APP, *lines[:30])
    await keep(db, APP, *lines[30:])
    await fold(db)
    frame = read_frame(b"".join(lines), Origin(APP, "production"), datetime.now(UTC), READING)
    assert await counted(db) == total(minutes_of(frame.traffic).values())
    assert closes_at(NOON) == after(70)
