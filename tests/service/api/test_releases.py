"""Releases and promotions as the lines tell of them, whatever the order in which they came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeping import keep
from tests.service.api.conftest import Asking
from vocabulary import api, message

APP, CONSOLE = "raxx-api-prod", "raxx-console-prod"
NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def promotion(minutes: float, step: str, id: int = 42, **pairs: object) -> bytes:
    said = " ".join(f"{key}={value}" for key, value in pairs.items())
    text = f"INFO console.flags: console.flag.promotion.{step} promotion_id={id} flag_key=new_checkout {said}"
    return message("app", "web.1", text, after(minutes))


async def pages(ask: Asking, path: str, **params: Any) -> list[dict[str, Any]]:
    """All items, a page of two at a time."""
    items: list[dict[str, Any]] = []
    while True:
        page = await ask.get(path, limit="2", **params)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        params["cursor"] = page["next_cursor"]


async def test_a_release_is_its_version_and_what_was_done_in_either_order(ask: Asking) -> None:
    await keep(ask.db, APP, api("Deploy 193d1419", after(0)), api("Release v42 created", after(0)))
    await keep(ask.db, APP, api("Release v43 created", after(5)), api("Set FLAG_A, FLAG_B config vars", after(5)))
    newest, older = (await ask.get("/v1/releases"))["items"]
    assert older == {
        "app": APP,
        "environment": "production",
        "version": "v42",
        "action": "deploy",
        "description": "Deploy 193d1419 by user user@example.com",
        "commit": "193d1419",
        "config_keys": [],
        "actor": "user@example.com",
        "released_at": NOON.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
    }
    assert (newest["version"], newest["action"], newest["config_keys"]) == ("v43", "config_set", ["FLAG_A", "FLAG_B"])


async def test_a_version_alone_is_a_release_of_which_no_more_is_known(ask: Asking) -> None:
    await keep(ask.db, APP, api("Release v44 created", after(0)), api("Build succeeded", after(0)))
    [release] = (await ask.get("/v1/releases"))["items"]
    assert (release["version"], release["action"], release["description"]) == ("v44", None, None)


async def test_releases_that_come_late_stand_where_they_belong_and_pages_hold_each_once(ask: Asking) -> None:
    for version in (7, 3, 9, 1, 5):
        await keep(ask.db, APP, api(f"Release v{version} created", after(version)))
    await keep(ask.db, "other", api("Release v2 created", after(4)), environment="staging")
    assert [one["version"] for one in await pages(ask, "/v1/releases")] == ["v9", "v7", "v5", "v2", "v3", "v1"]
    assert [one["version"] for one in await pages(ask, "/v1/releases", environment="staging")] == ["v2"]
    since, until = after(3).isoformat(), after(7).isoformat()
    assert [one["version"] for one in await pages(ask, "/v1/releases", app=APP, since=since, until=until)] == [
        "v5",
        "v3",
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_promotion_is_as_its_newest_line_says(ask: Asking, order: tuple[int, int]) -> None:
    lines = (
        promotion(0, "started", target_app=APP, state="deploying", new_value=1),
        promotion(4, "failed", state="failed", reason='"FAILED: PATCH answered 403"'),
    )
    for number in order:
        await keep(ask.db, CONSOLE, lines[number])
    [found] = (await ask.get("/v1/promotions"))["items"]
    assert found == {
        "app": CONSOLE,
        "environment": "production",
        "promotion_id": "42",
        "flag_key": "new_checkout",
        "target_app": APP,
        "state": "failed",
        "new_value": 1,
        "reason": "FAILED: PATCH answered 403",
        "started_at": after(0).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "updated_at": after(4).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "ended_at": after(4).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
    }


async def test_a_promotion_under_way_has_no_end_and_is_found_by_its_state(ask: Asking) -> None:
    await keep(
        ask.db, CONSOLE, promotion(0, "started", 1, state="deploying"), promotion(1, "started", 2, state="deploying")
    )
    await keep(ask.db, CONSOLE, promotion(2, "deployed", 1, state="deployed"))
    [stuck] = (await ask.get("/v1/promotions", state="deploying"))["items"]
    assert (stuck["promotion_id"], stuck["ended_at"]) == ("2", None)


async def test_ops_complete_ends_a_promotion(ask: Asking) -> None:
    await keep(
        ask.db, CONSOLE, promotion(0, "started", state="deploying"), promotion(9, "ops_complete", state="deployed")
    )
    [found] = (await ask.get("/v1/promotions"))["items"]
    assert (found["state"], found["ended_at"]) == ("deployed", after(9).strftime("%Y-%m-%dT%H:%M:%S.000000Z"))


async def test_pages_of_promotions_hold_each_once_by_its_beginning(ask: Asking) -> None:
    for id in (3, 1, 5, 2, 4):
        await keep(ask.db, CONSOLE, promotion(id + 30, "deployed", id, state="deployed"))
        await keep(ask.db, CONSOLE, promotion(id, "started", id, state="deploying"))
    assert [one["promotion_id"] for one in await pages(ask, "/v1/promotions")] == ["5", "4", "3", "2", "1"]


@pytest.mark.parametrize("path", ["/v1/releases", "/v1/promotions"])
async def test_a_cursor_of_another_list_is_refused(ask: Asking, path: str) -> None:
    answer = await ask("GET", path, params={"cursor": "AAAA"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")
