"""Errors over time: exact counts, by key and bucket, at whole multiples of the bucket's width."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeping import keep
from vocabulary import memory_quota, router_line, up

from .conftest import Asking

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


def error(minutes: float, **pairs: Any) -> bytes:
    return router_line(HOUR + timedelta(minutes=minutes), **{"code": "H12", **pairs})


async def counted(ask: Asking, **params: Any) -> dict[str | None, list[int]]:
    """Key → its counts, bucket by bucket, of the hour."""
    given = {"since": HOUR.isoformat(), "until": (HOUR + timedelta(hours=1)).isoformat(), "bucket": "30m", **params}
    items = (await ask.get("/v1/stats/errors", **given))["items"]
    found: dict[str | None, list[int]] = {}
    for one in items:
        found.setdefault(one["key"], []).append(one["count"])
    return found


async def test_errors_are_counted_by_what_is_asked_for_the_most_frequent_first(ask: Asking) -> None:
    await keep(ask.db, "shop", error(1), error(29.99), error(30, code="H13", dyno="web.2"), up("web.1", HOUR))
    await keep(ask.db, "blog", error(59, path="/x"), memory_quota("web.1", HOUR), environment="staging")

    for by, expected in (
        ("code", {"H12": [2, 1], "H13": [0, 1], "R14": [1, 0]}),
        ("app", {"shop": [2, 1], "blog": [1, 1]}),
        ("path", {"/": [2, 1], "/x": [0, 1], None: [1, 0]}),
        ("dyno", {"web.1": [3, 1], "web.2": [0, 1]}),
        ("kind", {"router_error": [2, 2], "dyno_error": [1, 0]}),
    ):
        found = await counted(ask, by=by)
        assert found == expected, by
        assert [sum(one) for one in found.values()] == sorted(map(sum, found.values()), reverse=True)


async def test_what_is_counted_is_narrowed_like_a_list(ask: Asking) -> None:
    await keep(ask.db, "shop", error(1, path="/a", service="7ms"), error(2, code="H13"))
    await keep(ask.db, "blog", error(3), environment="staging")

    for params, expected in (
        ({"app": "shop"}, {"H12": [1, 0], "H13": [1, 0]}),
        ({"environment": "staging"}, {"H12": [1, 0]}),
        ({"code": "H13"}, {"H13": [1, 0]}),
        ({"q": "path:/a service_ms>5"}, {"H12": [1, 0]}),
        ({"q": "app:s*", "limit": 1}, {"H12": [1, 0]}),
        ({"q": "nothing"}, {None: [0, 0]}),
        ({"app": "'; drop table events; --"}, {None: [0, 0]}),
    ):
        assert await counted(ask, **params) == expected, params
    assert (await ask.get("/v1/stats/errors", since=HOUR.isoformat(), q="app:s*", limit=1))["left_out"] == 1


async def test_buckets_are_whole_multiples_of_their_width_in_utc_and_empty_ones_are_there(ask: Asking) -> None:
    await keep(ask.db, "shop", error(7))
    params = {"since": (HOUR + timedelta(minutes=6)).isoformat(), "until": (HOUR + timedelta(minutes=16)).isoformat()}

    items = (await ask.get("/v1/stats/errors", bucket="5m", **params))["items"]

    begins = [HOUR + timedelta(minutes=minutes) for minutes in (5, 10, 15)]
    assert [(datetime.fromisoformat(one["at"]), one["count"]) for one in items] == list(
        zip(begins, (1, 0, 0), strict=True)
    )
    assert (await ask.get("/v1/stats/errors", since="1h", until="2h"))["items"] == []
    assert len((await ask.get("/v1/stats/errors"))["items"]) in (60, 61)
    for path in ("/v1/stats/errors", "/v1/traffic"):
        assert (await ask.get(path, until="0001-01-01T00:00:00Z"))["items"] == [], path


async def test_too_many_buckets_are_refused(ask: Asking) -> None:
    for params in (
        {"since": "30d"},
        {"since": "4d", "bucket": "5m", "limit": 1000},
        {"by": "message"},
        {"bucket": "10s"},
    ):
        assert (await ask("GET", "/v1/stats/errors", params=params)).status_code == 400, params


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/orders/4711", "/orders/:id"),
        ("/orders/4711/items/5?page=2", "/orders/:id/items/:id"),
        ("/users/6903a168-b79b-ec27-03c8-b8f64d8d8792/edit", "/users/:id/edit"),
        ("/o/5f3a9c1be2", "/o/:id"),
        ("/c/cus_9s6XKzkNRiz8i3/x", "/c/:id/x"),
        ("/s/aB3dE5gH7jK9mN1pQ", "/s/:id"),
        ("/1/2/3", "/:id/:id/:id"),
        ("/api/v2/oauth2/callback", "/api/v2/oauth2/callback"),
        ("/posts/2024-report/facade", "/posts/2024-report/facade"),
        ("/documentation/deadbeef", "/documentation/deadbeef"),
        ("/", "/"),
    ],
)
async def test_ids_in_paths_are_folded(ask: Asking, path: str, folded: str) -> None:
    await keep(ask.db, "shop", error(1, path=path))

    assert list(await counted(ask, by="path")) == [folded]
