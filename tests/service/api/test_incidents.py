from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from keeping import drain_of
from parsers.event import Severity
from service import access
from service.store import incidents, transitions
from service.store.database import Database
from service.store.ids import new_id
from service.store.incidents import Incident
from service.wire.incident import incident_json
from vocabulary import NOON

from .conftest import Asking


async def opened(ask: Asking, app: str = "shop", *, at: datetime = NOON, **differs: Any) -> Incident:
    """An incident of that app, as the worker opens it."""
    return await opened_in(ask.db, app, at=at, **differs)


async def opened_in(db: Database, app: str = "shop", *, at: datetime = NOON, **differs: Any) -> Incident:
    """The same, in a database."""
    drain = await drain_of(db, app, differs.pop("environment", "production"))
    values: dict[str, Any] = {
        "rule": "crash_loop",
        "subject": "web",
        "severity": Severity.CRITICAL,
        "status": "open",
        "title": "web keeps crashing",
        "diagnosis": "It exits with 1 at every boot.",
        "remedies": ["heroku rollback --app shop"],
        "verify": "heroku ps --app shop",
        "runbook": None,
        "acknowledged_at": None,
        "escalated_at": None,
        "resolved_at": None,
        "count": 2,
        "release": {"version": "v42", "description": "Deploy", "actor": None, "released_at": "x", "seconds_before": 60},
        "evidence": [],
        "context": [],
        "traceback": None,
        **differs,
    }
    incident = Incident(
        id=new_id(),
        app_id=drain.app_id,
        app=app,
        environment=drain.environment,
        version=1,
        opened_at=at,
        last_seen_at=at,
        **values,
    )
    async with db.begin() as conn:
        await incidents.insert_new(conn, incident)
        await transitions.append(
            conn,
            app_id=drain.app_id,
            incident_id=incident.id,
            number=1,
            type="opened",
            at=at,
            incident=dict(incident_json(incident)),
        )
    return incident


async def test_an_incident_has_its_one_shape_and_alone_its_timeline_too(ask: Asking) -> None:
    made = await opened(ask)

    (listed,) = (await ask.get("/v1/incidents"))["items"]
    one = await ask.get(f"/v1/incidents/{made.id}")

    timeline = one.pop("timeline")
    assert one == listed
    assert (one["key"], one["severity"], one["version"]) == ("crash_loop/shop/web", "critical", 1)
    assert one["opened_at"] == "2026-05-11T12:00:00.000000Z"
    assert one["release"]["version"] == "v42"
    assert [(step["number"], step["type"], step["actor"]) for step in timeline] == [(1, "opened", None)]


async def test_incidents_are_filtered_and_paged_newest_first(ask: Asking) -> None:
    minute = timedelta(minutes=1)
    await opened(ask, "shop", rule="boot_timeout", severity=Severity.ERROR)
    await opened(ask, "shop", at=NOON + minute, status="resolved", resolved_at=NOON + minute)
    await opened(ask, "blog", at=NOON + 2 * minute, environment="staging", severity=Severity.WARNING)

    for filters, expected in (
        ({}, ["blog", "shop", "shop"]),
        ({"app": "shop"}, ["shop", "shop"]),
        ({"environment": "staging"}, ["blog"]),
        ({"rule": "boot_timeout"}, ["shop"]),
        ({"status": "resolved"}, ["shop"]),
        ({"severity": "error"}, ["shop", "shop"]),
        ({"since": "2026-05-11T12:02:00Z"}, ["blog"]),
        ({"until": "2026-05-11T12:02:00Z"}, ["shop", "shop"]),
        ({"q": "rule:crash_loop -status:resolved"}, ["blog"]),
        ({"q": "severity>=error", "app": "shop"}, ["shop", "shop"]),
    ):
        found = (await ask.get("/v1/incidents", **filters))["items"]
        assert [one["app"] for one in found] == expected, filters
    first = await ask.get("/v1/incidents", limit="2")
    second = await ask.get("/v1/incidents", limit="2", cursor=first["next_cursor"])
    of_shop = await ask.get("/v1/incidents", limit="1", q="app:shop")
    assert (await ask.get("/v1/incidents", q="app:shop", cursor=of_shop["next_cursor"]))["next_cursor"] is None
    assert [one["app"] for one in first["items"] + second["items"]] == ["blog", "shop", "shop"]
    assert second["next_cursor"] is None
    assert (await ask.get("/v1/incidents", limit="3"))["next_cursor"] is None


async def test_who_acknowledges_and_resolves_stands_in_the_timeline(ask: Asking) -> None:
    made = await opened(ask)
    _, token = await access.create(ask.db, name="on call", scope="write")

    await ask("POST", f"/v1/incidents/{made.id}/acknowledge", token=token)
    answer = await ask("POST", f"/v1/incidents/{made.id}/resolve", token=token, json={"version": 2})

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["version"]) == ("resolved", 3)
    steps = [(step["type"], step["actor"]) for step in answer.json()["timeline"]]
    assert steps == [("opened", None), ("acknowledged", "on call"), ("resolved", "on call")]


async def test_who_comes_second_gets_409_with_the_incident_as_it_is(ask: Asking) -> None:
    made = await opened(ask)
    await ask("POST", f"/v1/incidents/{made.id}/acknowledge", json={"version": 1})

    answer = await ask("POST", f"/v1/incidents/{made.id}/acknowledge", json={"version": 1})

    assert answer.status_code == 409
    assert (answer.json()["incident"]["version"], answer.json()["incident"]["status"]) == (2, "acknowledged")


async def test_a_wrong_version_is_400_and_an_incident_that_is_not_there_404(ask: Asking) -> None:
    made = await opened(ask)
    for version in (0, -1, 2**31, "1", 1.5, True):
        answer = await ask("POST", f"/v1/incidents/{made.id}/resolve", json={"version": version})
        assert (answer.status_code, answer.json()["parameter"]) == (400, "version"), version
    for id in (uuid4(), UUID(int=0), "x"):
        assert (await ask("POST", f"/v1/incidents/{id}/resolve")).status_code == 404


async def test_a_version_is_a_whole_number_however_json_writes_it(ask: Asking) -> None:
    incident = await opened(ask)

    whole = await ask("POST", f"/v1/incidents/{incident.id}/acknowledge", json={"version": 1.0})
    broken = await ask("POST", f"/v1/incidents/{incident.id}/resolve", json={"version": 1.5})

    assert (whole.status_code, broken.status_code) == (200, 400)
