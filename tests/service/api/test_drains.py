from keeping import keep
from service.ingest.drains import secret_hash
from service.store import drains
from vocabulary import up

from .conftest import Asking


async def test_an_added_drain_comes_with_the_line_that_tells_heroku(ask: Asking) -> None:
    answer = await ask("POST", "/v1/drains", json={"app": "raxx-api-prod", "environment": "production"})

    assert answer.status_code == 201
    drain = answer.json()
    assert len(drain["secret"]) == 32
    assert set(drain["secret"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert drain["url"] == f"https://raxx-api-prod:{drain['secret']}@logs.example.com/drain"
    assert drain["command"] == f"heroku drains:add {drain['url']} -a raxx-api-prod"
    assert (drain["id"], drain["app"], drain["environment"]) == (1, "raxx-api-prod", "production")


async def test_a_drains_secret_is_shown_once_and_stored_as_a_hash(ask: Asking) -> None:
    made = (await ask("POST", "/v1/drains", json={"app": "shop", "environment": "production"})).json()

    assert made["secret"] not in str(await ask.get("/v1/drains"))
    assert made["secret"] not in str(await ask.get("/v1/drains/1"))
    async with ask.db.read() as conn:
        (kept,) = await drains.find(conn, "shop")
    assert kept.secret_hash == secret_hash(made["secret"])


async def test_a_second_drain_may_not_change_what_the_app_is_used_for(ask: Asking) -> None:
    await ask("POST", "/v1/drains", json={"app": "shop", "environment": "production"})

    refused = await ask("POST", "/v1/drains", json={"app": "shop", "environment": "staging"})
    second = await ask("POST", "/v1/drains", json={"app": "shop", "environment": "production"})

    assert refused.status_code == 409
    assert (refused.json()["parameter"], refused.json()["expected"]) == ("environment", "production")
    assert second.status_code == 201
    assert [one["id"] for one in (await ask.get("/v1/drains"))["items"]] == [1, second.json()["id"]]


async def test_a_changed_environment_is_the_apps_own_and_a_pinned_token_the_drains(ask: Asking) -> None:
    for _ in range(2):
        await ask("POST", "/v1/drains", json={"app": "shop", "environment": "staging"})

    await ask("PATCH", "/v1/drains/1", json={"environment": "production", "logplex_token": "d.1"})
    await ask("PATCH", "/v1/drains/1", json={})
    kept = (await ask.get("/v1/drains"))["items"]
    unpinned = (await ask("PATCH", "/v1/drains/1", json={"logplex_token": None})).json()

    assert [(one["environment"], one["logplex_token"]) for one in kept] == [("production", "d.1"), ("production", None)]
    assert unpinned["logplex_token"] is None


async def test_after_a_rotation_both_secrets_serve_for_a_day(ask: Asking) -> None:
    old = (await ask("POST", "/v1/drains", json={"app": "shop", "environment": "production"})).json()

    new = (await ask("POST", "/v1/drains/1/rotate")).json()

    async with ask.db.read() as conn:
        (kept,) = await drains.find(conn, "shop")
    assert kept.secret_hash == secret_hash(new["secret"])
    assert kept.previous_hash == secret_hash(old["secret"])
    assert new["secret"] in new["command"]
    assert new["previous_until"] > old["created_at"]


async def test_a_removed_drain_is_gone_and_what_it_brought_stays(ask: Asking) -> None:
    await keep(ask.db, "shop", up("web.1"))

    answer = await ask("DELETE", "/v1/drains/1")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await ask.get("/v1/drains"))["items"] == []
    assert (await ask("GET", "/v1/drains/1")).status_code == 404
    assert len((await ask.get("/v1/events"))["items"]) == 1
