from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parsers.filters import parse_filter
from service import access
from service.notify.fan_out import fan_out
from service.notify.silences import _is_bound
from service.store import clocks

from .conftest import Asking
from .test_incidents import opened

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def said(at: datetime) -> str:
    return at.isoformat()


async def silence(ask: Asking, **body: Any) -> Any:
    answer = await ask("POST", "/v1/silences", json={"match": "app:shop", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def fanned_out(ask: Asking) -> None:
    async with ask.db.begin() as conn:
        await fan_out(conn, public_url="https://logs.example.com", now=await clocks.now(conn))


async def test_a_silence_lasts_a_day_unless_said_otherwise_and_names_who_made_it(ask: Asking) -> None:
    _, token = await access.create(ask.db, name="on call", scope="write")
    answer = await ask("POST", "/v1/silences", token=token, json={"match": "app:shop", "comment": "deploying"})

    made = answer.json()
    starts, ends = (datetime.fromisoformat(made[name]) for name in ("starts_at", "ends_at"))
    assert (answer.status_code, ends - starts) == (201, timedelta(hours=24))
    assert (made["author"], made["comment"], made["status"]) == ("on call", "deploying", "active")
    assert await ask.get(f"/v1/silences/{made['id']}") == made


async def test_silences_are_listed_newest_first_and_by_whether_they_have_ended(ask: Asking) -> None:
    for app in ("a", "b", "c"):
        await silence(ask, match=f"app:{app}")
    await ask("DELETE", "/v1/silences/2")

    async def listed(**query: str) -> list[str]:
        return [one["match"] for one in (await ask.get("/v1/silences", **query))["items"]]

    assert await listed() == ["app:c", "app:b", "app:a"]
    assert (await listed(ended="false"), await listed(ended="true")) == (["app:c", "app:a"], ["app:b"])
    first = await ask.get("/v1/silences", limit="2")
    second = await ask.get("/v1/silences", limit="2", cursor=first["next_cursor"])
    assert ([one["match"] for one in second["items"]], second["next_cursor"]) == (["app:a"], None)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"match": "severity>=error"}, "match"),
        ({"match": "*"}, "match"),
        ({"match": "app:*"}, "match"),
        ({"match": "-app:shop"}, "match"),
        ({"match": "app:shop OR severity:error"}, "match"),
        ({"match": "app:("}, "match"),
        ({"match": ""}, "match"),
        ({}, "match"),
        ({"match": "app:shop", "ends_at": said(NOW - timedelta(hours=1))}, "ends_at"),
        ({"match": "app:shop", "ends_at": "2h"}, "ends_at"),
        (
            {"match": "app:shop", "starts_at": said(NOW + 2 * DAY), "ends_at": said(NOW + DAY)},
            "ends_at",
        ),
        ({"match": "app:shop", "comment": "x" * 301}, "comment"),
        ({"match": "app:shop", "until": "2h"}, "until"),
    ],
)
async def test_a_wrong_silence_is_400_and_says_what_is_wrong(ask: Asking, body: dict[str, Any], parameter: str) -> None:
    answer = await ask("POST", "/v1/silences", json=body)

    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


@pytest.mark.parametrize(
    "match", ["rule:crash_loop", "app:shop-* severity>=error", "(app:a OR rule:b) web", "app:a OR app:b"]
)
def test_an_app_or_a_rule_bounds_a_silence(match: str) -> None:
    assert _is_bound(parse_filter(match))


async def test_a_silence_is_changed_while_it_lasts_and_not_afterwards(ask: Asking) -> None:
    made = await silence(ask, comment="deploying")
    later = said(NOW + timedelta(hours=2))
    changed = (await ask("PATCH", f"/v1/silences/{made['id']}", json={"ends_at": later})).json()
    assert (datetime.fromisoformat(changed["ends_at"]), changed["comment"]) == (NOW + timedelta(hours=2), "deploying")
    assert (await ask("DELETE", f"/v1/silences/{made['id']}")).status_code == 204

    assert (await ask.get(f"/v1/silences/{made['id']}"))["status"] == "ended"
    assert (await ask("PATCH", f"/v1/silences/{made['id']}", json={"ends_at": later})).status_code == 409
    assert (await ask("DELETE", f"/v1/silences/{made['id']}")).status_code == 409
    assert (await ask("DELETE", "/v1/silences/99")).status_code == 404


async def test_one_that_has_not_begun_is_forgotten(ask: Asking) -> None:
    made = await silence(ask, starts_at=said(NOW + timedelta(hours=1)))
    assert made["status"] == "upcoming"
    assert (await ask("DELETE", f"/v1/silences/{made['id']}")).status_code == 204
    assert (await ask("GET", f"/v1/silences/{made['id']}")).status_code == 404


async def test_what_a_silence_no_longer_matches_is_loud_again(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    made = await silence(ask)
    incident = await opened(ask)
    await fanned_out(ask)
    await ask("PATCH", f"/v1/silences/{made['id']}", json={"match": "app:shop rule:error_rate"})
    await fanned_out(ask)

    found = (await ask.get(f"/v1/incidents/{incident.id}/decisions"))["items"]
    assert [(one["step"], one["told"]) for one in found] == [("opened", False), ("loud", True)]


async def test_a_preview_says_what_would_have_been_hushed_and_saves_nothing(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    incident = await opened(ask, at=NOW - timedelta(days=1))
    await opened(ask, rule="error_rate", at=NOW - timedelta(days=8))
    await opened(ask, "blog", at=NOW)
    await fanned_out(ask)

    answer = await ask("POST", "/v1/silences/preview", json={"match": "app:shop"})

    assert answer.status_code == 200
    assert (answer.json()["incidents"], answer.json()["notifications"]) == (1, 1)
    assert [one["id"] for one in answer.json()["examples"]] == [str(incident.id)]
    assert (await ask.get("/v1/silences"))["items"] == []
    assert (await ask("POST", "/v1/silences/preview", json={"match": "web"})).status_code == 400


async def test_reading_needs_a_read_token_and_silencing_a_write_token(ask: Asking) -> None:
    _, token = await access.create(ask.db, name="grafana", scope="read")

    assert (await ask("GET", "/v1/silences", token=token)).status_code == 200
    for method, path in (
        ("POST", "/v1/silences"),
        ("POST", "/v1/silences/preview"),
        ("PATCH", "/v1/silences/1"),
        ("DELETE", "/v1/silences/1"),
    ):
        assert (await ask(method, path, token=token, json={"match": "app:shop"})).status_code == 403
