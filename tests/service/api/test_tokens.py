from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from starlette.requests import Request

from keeping import keep
from service import access
from service.access import Access, Scope
from service.api.guard import address_of
from service.app import create_app
from service.errors import Refused
from service.settings import read_settings
from service.store.database import Database
from vocabulary import message, router_line, up

from .conftest import ADMIN, Asking


async def test_a_made_token_is_shown_once_and_works_until_it_is_revoked(ask: Asking) -> None:
    answer = await ask("POST", "/v1/tokens", json={"name": "grafana", "scope": "read"})
    made = answer.json()
    token = made.pop("token")

    used = await ask("GET", "/v1/errors", token=token)
    (listed,) = (await ask.get("/v1/tokens"))["items"]
    revoked = await ask("DELETE", f"/v1/tokens/{made['id']}")
    refused = await ask("GET", "/v1/errors", token=token)

    assert (answer.status_code, used.status_code, revoked.status_code, refused.status_code) == (201, 200, 204, 401)
    assert token not in str(listed)
    assert listed["used_at"]
    assert (await ask.get("/v1/tokens"))["items"] == []


async def test_a_wrong_name_or_scope_is_400(ask: Asking) -> None:
    for values, parameter in (
        ({"name": "x", "scope": "root"}, "scope"),
        ({"name": "x"}, "scope"),
        ({"scope": "read"}, "name"),
        ({"name": " ", "scope": "read"}, "name"),
        ({"name": "x" * 101, "scope": "read"}, "name"),
    ):
        answer = await ask("POST", "/v1/tokens", json=values)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter), values


async def test_a_token_bound_to_apps_sees_those_alone(ask: Asking) -> None:
    for app in ("raxx-api", "raxx-console", "shop"):
        await keep(ask.db, app, router_line(code="H12"), message("app", "web.1", f"a line of {app}"), up("web.1"))
    made = await ask("POST", "/v1/tokens", json={"name": "raxx", "scope": "read", "apps": ["raxx-*", "blog"]})
    bound = replace(ask, token=made.json()["token"])
    (foreign,) = (await ask.get("/v1/errors", app="shop"))["items"]

    for path in ("/v1/errors", "/v1/events", "/v1/lines", "/v1/apps", "/v1/dynos"):
        assert {one["app"] for one in (await bound.get(path))["items"]} == {"raxx-api", "raxx-console"}, path
        assert (await bound.get(path, app="shop"))["items"] == [], path
    assert (await bound.get("/v1/errors", q="app:shop OR app:raxx-api"))["items"][0]["app"] == "raxx-api"
    counted = (await bound.get("/v1/stats/errors", by="app", since="3650d", bucket="30d"))["items"]
    assert {one["key"] for one in counted} == {"raxx-api", "raxx-console"}
    assert (await bound("GET", f"/v1/events/{foreign['id']}")).status_code == 404
    # What knows of all apps, or of none in particular, is not for it.
    for path in ("/v1/incidents", "/metrics"):
        assert (await bound("GET", path)).status_code == 403, path
    assert (await bound.get("/v1/codes"))["items"]
    assert made.json()["apps"] == ["raxx-*", "blog"]


async def test_what_a_token_can_be_bound_to_is_checked(ask: Asking) -> None:
    for values in (
        {"scope": "admin", "apps": ["shop"]},
        {"scope": "read", "apps": []},
        {"scope": "read", "apps": ["a b"]},
        {"scope": "read", "apps": ["a"] * 51},
        {"scope": "read", "apps": "shop"},
    ):
        answer = await ask("POST", "/v1/tokens", json={"name": "x", **values})
        assert answer.status_code == 400, values
        assert answer.json()["parameter"].startswith("apps"), values


async def test_a_revoked_token_is_refused_at_once_in_every_process(ask: Asking) -> None:
    made = (await ask("POST", "/v1/tokens", json={"name": "x", "scope": "read"})).json()
    other = Access(ask.db, admin_token=None)
    await other.check(f"Bearer {made['token']}", Scope.READ, address="192.0.2.1")

    await ask("DELETE", f"/v1/tokens/{made['id']}")

    with pytest.raises(Refused, match="unknown or revoked"):
        await other.check(f"Bearer {made['token']}", Scope.READ, address="192.0.2.1")


@asynccontextmanager
async def asking(db: Database, **environ: str) -> AsyncIterator[Asking]:
    """The API as those settings make it."""
    app = create_app(read_settings({"DRAINWATCH_ADMIN_TOKEN": ADMIN, **environ}), db)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://drainwatch") as http:
        yield Asking(db, http)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes in which there would be room for another request."""
    monkeypatch.setattr(access, "monotonic", lambda: 1000.0)


async def test_requests_of_a_token_are_limited_where_a_setting_says_so(ask: Asking, moment: None) -> None:
    _, token = await access.create(ask.db, name="x", scope="read")
    async with asking(ask.db, DRAINWATCH_RATE_LIMIT="2") as limited:
        answers = [await limited("GET", "/v1/codes", token=token) for _ in range(3)]
        assert (await limited("GET", "/v1/codes")).status_code == 200  # another one's

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["ratelimit-remaining"] for one in answers] == ["1", "0", "0"]
    assert answers[0].headers["ratelimit-policy"] == '"token";q=2;w=60'
    assert 0 < int(answers[2].headers["retry-after"]) <= 30
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert "ratelimit" not in (await ask("GET", "/v1/codes")).headers


async def test_wrong_tokens_are_limited_by_where_they_come_from_and_good_ones_are_not(
    ask: Asking, moment: None
) -> None:
    _, token = await access.create(ask.db, name="x", scope="read")
    async with asking(ask.db) as guarded:
        assert (await guarded("GET", "/v1/codes", token=token)).status_code == 200
        statuses = [(await guarded("GET", "/v1/codes", token=f"dw_{n}")).status_code for n in range(105)]
        good = await guarded("GET", "/v1/codes", token=token)
        none = await guarded("GET", "/v1/codes", token=None)

    assert statuses[:100] == [401] * 100
    assert statuses[-1] == 429
    assert (good.status_code, none.status_code) == (200, 401)


async def test_behind_a_proxy_it_is_what_the_proxy_says_last_that_counts() -> None:
    for peer, forwarded, expected in (
        ("10.1.2.3", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("198.51.100.7", "1.1.1.1", "198.51.100.7"),
        ("testclient", "1.1.1.1", "testclient"),
    ):
        headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
        request = Request({"type": "http", "client": (peer, 1), "headers": headers})
        assert address_of(request) == expected


async def test_no_page_of_another_origin_may_ask_unless_a_setting_says_so(ask: Asking) -> None:
    preflight = {"Origin": "https://status.example.com", "Access-Control-Request-Method": "GET"}
    async with asking(ask.db, DRAINWATCH_CORS_ORIGINS="https://status.example.com") as opened:
        allowed = await opened("OPTIONS", "/v1/errors", token=None, headers=preflight)
        answered = await opened("GET", "/v1/errors", headers={"Origin": "https://status.example.com"})
        other = await opened("GET", "/v1/errors", headers={"Origin": "https://evil.example.com"})
    refused = await ask("OPTIONS", "/v1/errors", token=None, headers=preflight)

    assert allowed.headers["access-control-allow-origin"] == "https://status.example.com"
    assert answered.headers["access-control-allow-origin"] == "https://status.example.com"
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in refused.headers
