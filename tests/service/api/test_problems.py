import json
from typing import Any

import httpx

from keeping import keep
from service import access
from service.api import ROUTERS
from service.api.guard import MAX_BODY_BYTES
from service.store.database import Database
from vocabulary import up

from .conftest import Asking

JSON = {"Content-Type": "application/json"}


def routes() -> list[tuple[str, str]]:
    """Every method and path of the API that takes a token, with ids that name nothing."""
    found = [
        (method, route.path.replace("{id}", "1"))
        for router in ROUTERS
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    ]
    return [(method, path) for method, path in found if path.startswith("/v1/")]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer that must be one, and have that status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    said: dict[str, Any] = answer.json()
    assert said["status"] == status
    assert said["type"] == "about:blank"
    assert said["title"]
    assert said["detail"]
    return said


async def test_without_a_token_every_route_is_401_whatever_else_is_wrong(ask: Asking) -> None:
    asked = [*routes(), ("GET", "/v1/nothing"), ("POST", "/v1/errors"), ("GET", "/v1/")]
    assert len(asked) > 20
    for method, path in asked:
        for token in (None, "dw_wrong"):
            answer = await ask(method, path, token=token, content=b"{", headers=JSON, params={"nope": "\0"})
            problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_scope_that_does_not_reach_is_403_before_the_thing_or_the_body_is_looked_at(ask: Asking) -> None:
    _, read = await access.create(ask.db, name="reader", scope="read")
    _, write = await access.create(ask.db, name="writer", scope="write")
    nouns = ("drains", "webhooks", "deliveries", "tokens", "quarantine")
    admin_only = [one for one in routes() if one[1].split("/")[2] in nouns]
    assert len(admin_only) > 12

    for method, path in admin_only:
        problem(await ask(method, path, token=write, content=b"{", headers=JSON, params={"nope": "1"}), 403)
    for action in ("acknowledge", "resolve"):
        problem(await ask("POST", f"/v1/incidents/nobody/{action}", token=read, content=b"{", headers=JSON), 403)
        problem(await ask("POST", f"/v1/incidents/nobody/{action}", token=write), 404)


async def test_a_wrong_parameter_is_400_and_named_with_what_was_expected(ask: Asking) -> None:
    for path, params, parameter, expected in (
        ("/v1/errors", "limit=0", "limit", "a whole number from 1 to 1000"),
        ("/v1/errors", "limit=1001", "limit", "a whole number from 1 to 1000"),
        ("/v1/errors", "limit=1e2", "limit", "a whole number from 1 to 1000"),
        ("/v1/events", "since=yesterday", "since", "RFC 3339"),
        ("/v1/lines", "until=", "until", "15m"),
        ("/v1/events", "cursor=x", "cursor", "next_cursor"),
        ("/v1/lines", "app=%00", "app", "NUL"),
        ("/v1/lines", "app=", "app", "1 to 300"),
        ("/v1/lines", "app=" + "x" * 301, "app", "1 to 300"),
        ("/v1/incidents", "status=closed", "status", "open"),
        ("/v1/incidents", "severity=ERROR", "severity", "debug, info, warning"),
        ("/v1/errors", "q=" + "a" * 5001, "q", "at most 5000 characters in a URL"),
        ("/v1/lines", "q=" + "(" * 40 + "a" + ")" * 40, "q", "at most 32 parentheses"),
        ("/v1/events", "q=%00", "q", "text that can be stored"),
        ("/v1/quarantine", "since=%ff", "since", "RFC 3339"),
    ):
        said = problem(await ask("GET", f"{path}?{params}"), 400)
        assert said["parameter"] == parameter, params
        assert expected in said["expected"], params


async def test_a_wrong_filter_is_400_with_its_column_and_what_was_expected(ask: Asking) -> None:
    for path in ("/v1/errors", "/v1/events", "/v1/lines"):
        said = problem(await ask("GET", path, params={"q": "code:H12 severity>awful"}), 400)

        assert (said["parameter"], said["column"]) == ("q", 19)
        assert said["expected"] == "a severity: debug, info, warning, error, critical"
        assert "wrong at column 19: expected a severity" in said["detail"]


async def test_an_unknown_parameter_is_400_and_named_also_where_there_are_none(ask: Asking) -> None:
    for path in (
        "/v1/errors",
        "/v1/events/1",
        "/v1/lines",
        "/v1/incidents",
        "/v1/drains",
        "/v1/webhooks",
        "/v1/tokens",
    ):
        said = problem(await ask("GET", path, params={"nope": "1", "limit": "x"}), 400)
        assert said["parameter"] in ("nope", "limit")
        said = problem(await ask("GET", path, params={"nope": "1"}), 400)
        assert said["parameter"] == "nope"


async def test_a_parameter_given_twice_is_400(ask: Asking) -> None:
    said = problem(await ask("GET", "/v1/errors?app=shop&app=blog"), 400)

    assert said["parameter"] == "app"


async def test_a_cursor_of_another_list_is_400(ask: Asking) -> None:
    await keep(ask.db, "shop", up("web.1"), up("web.2"))
    cursor = (await ask.get("/v1/events", limit="1"))["next_cursor"]

    assert problem(await ask("GET", "/v1/lines", params={"cursor": cursor}), 400)["parameter"] == "cursor"
    assert len((await ask.get("/v1/events", cursor=cursor))["items"]) == 1


async def test_a_wrong_body_is_400_and_its_member_named(ask: Asking) -> None:
    good = {"app": "shop", "environment": "production"}
    for content, parameter in (
        (b"{", "body"),
        (b"", "body"),
        (b"\xff", None),
        (b"[" * 60_000, None),
        (b"[]", "body"),
        (b"null", "body"),
        (b"NaN", "body"),
        (json.dumps({"app": "shop"}).encode(), "environment"),
        (json.dumps({**good, "app": 7}).encode(), "app"),
        (json.dumps({**good, "app": None}).encode(), "app"),
        (json.dumps({**good, "app": "a\0b"}).encode(), "app"),
        (json.dumps({**good, "app": "\ud800"}).encode(), "app"),
        (json.dumps({**good, "app": "Shop"}).encode(), "app"),
        (json.dumps({**good, "app": "shop\n"}).encode(), "app"),
        (json.dumps({**good, "app": "shop:x"}).encode(), "app"),
        (json.dumps({**good, "environment": "Production"}).encode(), "environment"),
        (json.dumps({**good, "logplex_token": ""}).encode(), "logplex_token"),
        (json.dumps({**good, "nope": 1}).encode(), "nope"),
        (json.dumps({**good, "\ud800": 1}).encode(), "body"),
    ):
        said = problem(await ask("POST", "/v1/drains", content=content, headers=JSON), 400)
        assert said.get("parameter") == parameter, content[:80]


async def test_a_body_that_is_not_said_to_be_json_is_400_and_told_so(ask: Asking) -> None:
    said = problem(await ask("POST", "/v1/drains", content=b'{"app": "shop"}'), 400)

    assert "Content-Type: application/json" in said["expected"]


async def test_a_body_that_is_too_large_is_413_with_and_without_its_length(ask: Asking) -> None:
    async def parts() -> Any:
        yield b"x" * (MAX_BODY_BYTES + 1)

    for content in (b"x" * (MAX_BODY_BYTES + 1), parts()):
        problem(await ask("POST", "/v1/drains", content=content, headers=JSON), 413)


async def test_what_is_not_there_is_404_and_a_wrong_method_405(ask: Asking) -> None:
    problem(await ask("GET", "/v1/nothing"), 404)
    problem(await ask("GET", "/nothing", token=None), 404)
    answer = await ask("DELETE", "/v1/errors")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"


async def test_a_wrong_method_is_told_all_that_the_path_takes(ask: Asking) -> None:
    for path, takes in (
        ("/v1/webhooks", "GET, POST"),
        ("/v1/webhooks/3", "DELETE, GET, PATCH"),
        ("/v1/silences/preview", "POST"),
        ("/healthz", "GET, HEAD"),
    ):
        answer = await ask("OPTIONS", path)
        problem(answer, 405)
        assert answer.headers["allow"] == takes, path


async def test_ids_that_name_nothing_are_404_whatever_they_look_like(ask: Asking) -> None:
    for method, path in (
        ("GET", "/v1/drains/{}"),
        ("POST", "/v1/drains/{}/rotate"),
        ("DELETE", "/v1/drains/{}"),
        ("GET", "/v1/webhooks/{}"),
        ("POST", "/v1/webhooks/{}/test"),
        ("GET", "/v1/webhooks/{}/deliveries"),
        ("POST", "/v1/deliveries/{}/redeliver"),
        ("DELETE", "/v1/tokens/{}"),
        ("GET", "/v1/incidents/{}"),
        ("GET", "/v1/events/{}"),
    ):
        for id in ("0", "999999", "99999999999999999999", "-1", "x", "%00", "٣", "1" * 5000):
            problem(await ask(method, path.format(id)), 404)


async def test_while_the_database_is_away_it_is_503_and_says_so(ask: Asking) -> None:
    away = Asking(ask.db, ask.http)
    app = ask.http._transport.app  # type: ignore[attr-defined]
    app.state.api = type(app.state.api)(
        db=Database.open("postgres://127.0.0.1:1/none"), access=app.state.api.access, public_url=""
    )

    said = problem(await away("GET", "/v1/errors"), 503)
    assert "database is away" in said["detail"]
    problem(await away("GET", "/readyz"), 503)
    assert (await away("GET", "/healthz", token=None)).status_code == 200
