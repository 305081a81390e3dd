"""Why was there no page at 03:12?"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from parsers.event import Severity
from service.incidents import actions
from service.incidents.step import tell
from service.notify.fan_out import fan_out
from service.store import incidents, silences
from vocabulary import NOON

from .conftest import Asking
from .test_incidents import opened


async def fanned_out(ask: Asking, *, seconds: float = 0) -> None:
    async with ask.db.begin() as conn:
        await fan_out(conn, public_url="https://logs.example.com", now=NOON + timedelta(seconds=seconds))


async def explained(ask: Asking, *, app: str = "shop", minutes: float = 0) -> Any:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    return await ask.get("/v1/decisions", app=app, at=at)


async def test_an_incidents_decisions_name_each_webhook_and_the_reason(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x", "match": "app:blog"})
    incident = await opened(ask)
    await fanned_out(ask)

    (one,) = (await ask.get(f"/v1/incidents/{incident.id}/decisions"))["items"]
    assert (one["step"], one["type"], one["webhook_id"], one["told"]) == ("opened", "incident.opened", 1, False)
    assert one["says"] == 'webhook 1 was not told, for its filter "app:blog" does not hold'
    assert (await ask("GET", "/v1/incidents/x/decisions")).status_code == 404


async def test_what_a_silence_hushed_is_said_with_the_silence(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    ends = (NOON + timedelta(days=999)).isoformat()
    body = {"match": "app:shop", "starts_at": NOON.isoformat(), "ends_at": ends, "comment": "deploying"}
    assert (await ask("POST", "/v1/silences", json=body)).status_code == 201
    incident = await opened(ask)
    await fanned_out(ask)

    answer = await explained(ask, minutes=10)
    assert "told nowhere, for silence 1 (app:shop, deploying; by " in answer["says"]
    assert [one["id"] for one in answer["incidents"]] == [str(incident.id)]
    assert [one["id"] for one in answer["silences"]] == [1]


async def test_where_nothing_stood_that_is_the_answer_with_what_was_before(ask: Asking) -> None:
    incident = await opened(ask)
    await actions.resolve(ask.db, incident.id, version=None, actor="operator")
    async with ask.db.begin() as conn:
        await conn.exec_driver_sql("update incidents set resolved_at = opened_at + interval '5 minutes'")

    assert (await explained(ask, minutes=60))["says"] == (
        "No incident of shop stood at 2026-05-11T13:00:00.000000Z, so there was nothing to tell. "
        "The last one before was crash_loop of web, over since 2026-05-11T12:05:00.000000Z."
    )
    assert "No app named nobody has a drain here" in (await explained(ask, app="nobody"))["says"]


async def test_what_was_told_is_said_with_when_and_where(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    await opened(ask)
    await fanned_out(ask, seconds=3)

    says = (await explained(ask, minutes=1))["says"]
    assert "told first at 2026-05-11T12:00:03.000000Z, last at 2026-05-11T12:00:03.000000Z (webhook 1)" in says


async def test_a_question_without_an_app_or_a_time_is_400(ask: Asking) -> None:
    for query, parameter in (({"app": "shop"}, "at"), ({"at": "2h"}, "app"), ({"app": "shop", "at": "then"}, "at")):
        answer = await ask("GET", "/v1/decisions", params=query)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


async def test_a_time_at_either_end_of_the_calendar_is_a_time(ask: Asking) -> None:
    for at in ("929124d", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        assert (await ask.get("/v1/decisions", app="shop", at=at))["incidents"] == []


async def test_a_note_stands_in_the_timeline_and_tells_nobody(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    incident = await opened(ask)
    answer = await ask("POST", f"/v1/incidents/{incident.id}/notes", json={"text": "it is the database"})
    await fanned_out(ask)

    assert answer.status_code == 201
    last = answer.json()["timeline"][-1]
    assert (last["type"], last["note"], answer.json()["version"]) == ("note", "it is the database", 2)
    found = (await ask.get(f"/v1/incidents/{incident.id}/decisions"))["items"]
    assert [one["step"] for one in found] == ["opened"]
    for text in ("", "x" * 10_001, None, 7):
        wrong = await ask("POST", f"/v1/incidents/{incident.id}/notes", json={"text": text})
        assert (wrong.status_code, wrong.json()["parameter"]) == (400, "text")


async def test_acknowledging_what_is_resolved_is_409_with_the_incident(ask: Asking) -> None:
    incident = await opened(ask)
    await ask("POST", f"/v1/incidents/{incident.id}/resolve")
    answer = await ask("POST", f"/v1/incidents/{incident.id}/acknowledge")

    assert (answer.status_code, answer.json()["incident"]["status"]) == (409, "resolved")


async def test_what_was_told_once_and_then_held_back_is_said_with_what_held_it_back(ask: Asking) -> None:
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/x"})
    await ask("POST", "/v1/webhooks", json={"url": "https://hooks.example.com/y", "match": "app:blog"})
    incident = await opened(ask)
    await fanned_out(ask, seconds=3)
    assert "nobody was told" not in (await explained(ask, minutes=1))["says"]
    async with ask.db.begin() as conn:
        ends_at = NOON + timedelta(hours=1)
        await silences.add(conn, match="app:shop", starts_at=NOON, ends_at=ends_at, comment="", author="on call")
        now = await incidents.one(conn, incident.id)
        assert now
        after = await incidents.replace_version(conn, replace(now, severity=Severity.CRITICAL))
        assert after
        await tell(conn, after, "raised", at=NOON + timedelta(minutes=2))
    await fanned_out(ask, seconds=120)

    says = (await explained(ask, minutes=2))["says"]
    assert "told first at 2026-05-11T12:00:03.000000Z, last at 2026-05-11T12:00:03.000000Z (webhook 1)" in says
    assert "At 2026-05-11T12:02:00.000000Z nobody was told, for silence 1 (app:shop; by on call)" in says
