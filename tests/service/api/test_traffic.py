"""Traffic over time: exact counts, quantiles within 2 %, buckets at whole multiples of their width."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from keeping import READING, drain_of, keep
from parsers.frame import read_frame
from parsers.line import Origin
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named
from service.store.frames import FrameKey
from tests.service.api.conftest import Asking
from vocabulary import frame_of, message, router_line

APP = "raxx-api-prod"
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def request(minutes: float, **pairs: Any) -> bytes:
    return router_line(HOUR + timedelta(minutes=minutes), **pairs)


async def asked(ask: Asking, **params: Any) -> list[dict[str, Any]]:
    """The buckets with requests."""
    given = {"since": HOUR.isoformat(), "until": (HOUR + timedelta(hours=1)).isoformat(), **params}
    items = (await ask.get("/v1/traffic", **given))["items"]
    return [one for one in items if one["requests"]]


async def fold(ask: Asking) -> None:
    watch = Watch(ask.db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass


async def test_requests_errors_and_times_of_a_bucket(ask: Asking) -> None:
    await keep(ask.db, APP, request(1, service="10ms"), request(4.9, status=404, service="20ms"))
    await keep(ask.db, APP, request(2, code="H12", service="30ms", bytes=1), request(5))
    first, second = await asked(ask, app=APP)
    assert first == {
        "at": HOUR.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "requests": 3,
        "errors": 1,
        "bytes": 27,
        "by_status": {"2xx": 1, "4xx": 1, "5xx": 1},
        "by_code": {"H12": 1},
        "p50_ms": 20,
        "p95_ms": 29,
        "p99_ms": 29.8,
        "connect_p95_ms": 0,
    }
    assert second["requests"] == 1


async def test_counts_and_quantiles_are_right_before_and_after_folding(ask: Asking) -> None:
    chance = random.Random(1)
    taken = sorted(int(80 * chance.lognormvariate(0, 1.2)) for _ in range(4000))
    lines = [request(n / 80, service=f"{ms}ms") for n, ms in enumerate(chance.sample(taken, len(taken)))]
    for begin in range(0, len(lines), 500):
        await keep(ask.db, APP, *lines[begin : begin + 500])
    for _ in range(2):
        [bucket] = await asked(ask, bucket="1h")
        assert bucket["requests"] == 4000
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            assert bucket[name] == pytest.approx(taken[int(share * 4000)], rel=0.02)
        await fold(ask)


async def test_a_repeat_adds_nothing(ask: Asking) -> None:
    drain = await drain_of(ask.db, APP)
    frame = read_frame(frame_of(request(1), request(2)), Origin(APP, "production"), datetime.now(UTC), READING)
    key = FrameKey(drain.app_id, drain.id, uuid4().bytes)
    group_commit = GroupCommit(ask.db)
    running = asyncio.create_task(group_commit.run())
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *[group_commit.keep(Waiting(Named(drain, frame, key, None), loop.create_future())) for _ in range(3)]
    )
    await group_commit.keep(Waiting(Named(drain, frame, key, None), loop.create_future()))
    group_commit.close()
    await running
    assert sum(one["requests"] for one in await asked(ask)) == 2


async def test_buckets_begin_at_whole_multiples_of_their_width_and_empty_ones_are_there(ask: Asking) -> None:
    since = HOUR + timedelta(minutes=3, seconds=20)
    params = {"since": since.isoformat(), "until": (HOUR + timedelta(minutes=20)).isoformat(), "bucket": "5m"}
    items = (await ask.get("/v1/traffic", **params))["items"]
    assert [one["at"] for one in items] == [
        (HOUR + timedelta(minutes=5 * n)).strftime("%Y-%m-%dT%H:%M:%S.000000Z") for n in range(4)
    ]
    assert {(one["requests"], one["p50_ms"], len(one["by_status"])) for one in items} == {(0, None, 0)}


async def test_six_hours_in_five_minutes_up_to_now_unless_said_otherwise(ask: Asking) -> None:
    await keep(ask.db, APP, router_line(datetime.now(UTC)))
    items = (await ask.get("/v1/traffic"))["items"]
    assert len(items) == 73
    assert sum(one["requests"] for one in items[-2:]) == 1  # the minutes may go on between the two


async def test_only_of_the_app_and_the_environment(ask: Asking) -> None:
    await keep(ask.db, APP, request(1))
    await keep(ask.db, "raxx-api-staging", request(1), request(2), environment="staging")
    for params, requests in (({}, [3]), ({"app": APP}, [1]), ({"environment": "staging"}, [2]), ({"app": "other"}, [])):
        assert [one["requests"] for one in await asked(ask, **params)] == requests


async def test_equal_minutes_of_two_apps_count_twice_also_while_they_are_on_their_way(ask: Asking) -> None:
    for app in (APP, "other"):
        await keep(ask.db, app, request(1))
    assert [one["requests"] for one in await asked(ask)] == [2]
    await fold(ask)
    assert [one["requests"] for one in await asked(ask)] == [2]


@pytest.mark.parametrize("bucket", ["0m", "30s", "90s", "31d", "5", "five minutes", "-5m", "999999999d"])
async def test_a_bucket_is_whole_minutes(ask: Asking, bucket: str) -> None:
    answer = await ask("GET", "/v1/traffic", params={"bucket": bucket})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "bucket")


async def test_too_many_buckets_are_refused(ask: Asking) -> None:
    answer = await ask("GET", "/v1/traffic", params={"bucket": "1m", "since": "90d"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "bucket")
    assert "5000" in answer.json()["expected"]


@pytest.mark.parametrize(
    "params",
    [
        {"since": "0001-01-01T00:00:00Z", "until": "0001-01-01T00:05:00Z"},
        {"since": "9999-12-31T23:50:00Z", "until": "9999-12-31T23:59:59Z"},
        {"since": "1m", "until": "2h"},
        {"since": "0001-01-01T00:00:00Z", "bucket": "30d"},
    ],
)
async def test_the_ends_of_time_are_no_trouble(ask: Asking, params: dict[str, str]) -> None:
    assert (await ask("GET", "/v1/traffic", params=params)).status_code == 200


async def test_lists_show_what_drainwatch_makes_itself_only_when_asked_for_it(ask: Asking) -> None:
    await keep(ask.db, APP, request(1, status=500), message("app", "web.1", "x", HOUR + timedelta(minutes=3)))
    await fold(ask)
    assert {one["kind"] for one in (await ask.get("/v1/events"))["items"]} == {"router_failure"}
    for params in ({}, {"app": APP}, {"environment": "production"}):
        [event] = (await ask.get("/v1/events", kind="traffic", **params))["items"]
        assert (event["source"], event["fields"]["requests"], event["fields"]["errors"]) == ("drainwatch", 1, 1)
    assert (await ask.get("/v1/errors", kind="traffic"))["items"] == []
    shown = await ask.get(f"/v1/events/{event['id']}")
    assert (shown["kind"], shown["context"]) == ("traffic", [])


async def test_pages_of_a_kind_hold_each_event_once_newest_first(ask: Asking) -> None:
    await keep(ask.db, APP, *[request(n) for n in range(10)])
    await keep(ask.db, "other", *[request(n) for n in range(10)])
    await fold(ask)
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask.get("/v1/events", kind="heartbeat", limit="4", **cursor)
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({one["id"] for one in seen}) == len(seen) == 16
    assert [one["ts"] for one in seen] == sorted((one["ts"] for one in seen), reverse=True)
