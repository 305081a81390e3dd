from uuid import UUID, uuid4

from keeping import keep
from vocabulary import message, router_line, router_text, up

from .conftest import Asking


async def test_a_posted_router_error_is_in_the_recent_errors_in_its_one_shape(ask: Asking) -> None:
    line = {"code": "H12", "path": "/api/x", "service": "30001ms", "dyno": "web.1"}
    await keep(ask.db, "raxx-api-prod", router_line("12:00:00.123456", **line))

    (event,) = (await ask.get("/v1/errors"))["items"]

    assert UUID(event.pop("id")).version == 7
    assert event.pop("received_at").endswith("Z")
    fields = event.pop("fields")
    assert {key: fields[key] for key in ("method", "path", "service_ms", "status")} == {
        "method": "GET",
        "path": "/api/x",
        "service_ms": 30001,
        "status": 503,
    }
    assert event == {
        "ts": "2026-05-11T12:00:00.123456Z",
        "app": "raxx-api-prod",
        "environment": "production",
        "source": "heroku",
        "process": "router",
        "dyno": "web.1",
        "kind": "router_error",
        "code": "H12",
        "severity": "error",
        "message": router_text(**line),
        "flags": [],
    }


async def test_what_is_no_error_is_among_the_events_alone(ask: Asking) -> None:
    await keep(ask.db, "shop", up("web.1"))

    assert (await ask.get("/v1/errors"))["items"] == []
    assert [event["kind"] for event in (await ask.get("/v1/events"))["items"]] == ["dyno_state"]


async def test_every_filter_narrows_the_list(ask: Asking) -> None:
    await keep(ask.db, "shop", router_line("12:00", code="H12", dyno="web.1"))
    await keep(ask.db, "blog", router_line("12:01", code="H13", dyno="web.2"), environment="staging")

    for filters, expected in (
        ({}, ["H13", "H12"]),
        ({"app": "shop"}, ["H12"]),
        ({"environment": "staging"}, ["H13"]),
        ({"code": "H12"}, ["H12"]),
        ({"kind": "dyno_error"}, []),
        ({"dyno": "web.2"}, ["H13"]),
        ({"since": "2026-05-11T12:01:00Z"}, ["H13"]),
        ({"until": "2026-05-11T14:01:00+02:00"}, ["H12"]),
        ({"since": "99999d"}, ["H13", "H12"]),
        ({"until": "99999d"}, []),
        ({"limit": "1"}, ["H13"]),
        ({"q": "code:H12 -dyno:web.2"}, ["H12"]),
        ({"q": "severity>=error status:503"}, ["H13", "H12"]),
        ({"q": "", "app": "blog"}, ["H13"]),
        ({"q": 'path:"\'; drop table events; --"'}, []),
        ({"app": "'; drop table events; --"}, []),
    ):
        found = (await ask.get("/v1/errors", **filters))["items"]
        assert [event["code"] for event in found] == expected, filters


async def test_cursors_lead_through_the_list_and_end(ask: Asking) -> None:
    codes = [f"H{10 + n}" for n in range(5)]
    await keep(ask.db, "shop", *(router_line("12:00", code=code) for code in codes))

    found, cursor = [], {}
    for _ in range(3):
        page = await ask.get("/v1/errors", limit="2", **cursor)
        found += [event["code"] for event in page["items"]]
        cursor = {"cursor": page["next_cursor"]}

    assert sorted(found) == codes
    assert cursor == {"cursor": None}


async def test_one_event_comes_with_the_lines_of_its_dyno_and_its_own_is_marked(ask: Asking) -> None:
    lines = [message("app", "web.1", name) for name in ("before", "after")]
    await keep(ask.db, "shop", lines[0], router_line(code="H12", dyno="web.1"), message("app", "web.2", "x"), lines[1])
    listed = (await ask.get("/v1/errors"))["items"][0]

    event = await ask.get(f"/v1/events/{listed['id']}")

    context = event.pop("context")
    assert event == listed
    assert [(line["message"], line["own"]) for line in context] == [
        ("before", False),
        (event["message"], True),
        ("after", False),
    ]


async def test_text_from_logs_is_data_and_nothing_else(ask: Asking) -> None:
    hostile = '</script>"\\ \x1b[2J \u2028 é'
    await keep(ask.db, "shop", message("app", "web.1", hostile), router_line(code="H12", path=hostile))

    answer = await ask("GET", "/v1/errors")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["items"][0]["fields"]["path"] == hostile
    assert (await ask.get("/v1/lines"))["items"][1]["message"] == hostile


async def test_an_event_that_is_not_there_is_404(ask: Asking) -> None:
    for id in (str(uuid4()), "x", "0", "%00", "..", "é"):
        answer = await ask("GET", f"/v1/events/{id}")
        assert answer.status_code == 404, id
        assert answer.headers["content-type"] == "application/problem+json"
