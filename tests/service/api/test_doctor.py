"""The doctor asks what is so, and answers in one shape."""

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from keeping import PUBLIC_URL, drain_of, keep
from service import access, api, doctor
from service.access import Access
from service.api import Api
from service.housekeeping import say_alive
from service.notify import endpoints
from service.store import workers
from service.store.database import Database
from vocabulary import up

from .conftest import ADMIN, Asking


async def names(ask: Asking) -> list[str]:
    return [one["name"] for one in (await ask.get("/v1/doctor"))["findings"]]


async def test_what_an_empty_service_lacks_is_found_until_it_is_there(ask: Asking) -> None:
    assert await names(ask) == ["no_worker", "no_drain", "no_webhook"]

    await say_alive(ask.db, "one")
    await endpoints.add(ask.db, url="https://hooks.example.com/x", format="standard", match="", allow_private=False)
    await drain_of(ask.db, "shop")

    assert await names(ask) == []
    saw = (await ask.get("/v1/doctor"))["saw"]
    assert saw[1:] == ["1 worker", "1 drain, 0 heard within the hour", "1 webhook, 1 enabled", "0 waiting, 0 overdue"]


async def test_what_the_database_knows_becomes_findings(ask: Asking) -> None:
    await say_alive(ask.db, "one")
    made = await endpoints.add(
        ask.db, url="https://hooks.example.com/x", format="standard", match="", allow_private=False
    )
    await endpoints.disable(ask.db, made.endpoint.id)
    await keep(ask.db, "shop", up("web.1"), b"no message at all")
    async with ask.db.begin() as conn:
        await workers.leave(conn, "one")
        await conn.execute(text("update pending set received_at = now() - interval '10 minutes'"))
        await conn.execute(text("update drains set created_at = now() - interval '1 day'"))
        await conn.execute(
            text("insert into spools values ('w', now() - interval '1 hour', now() - interval '30 minutes')")
        )

    found = (await ask.get("/v1/doctor"))["findings"]

    expected = ["no_worker", "fold_lags", "spool_waits", "webhook_disabled", "drain_never_heard", "quarantined"]
    assert [one["name"] for one in found] == expected
    assert all(one["what"] and one["why"] and one["type"] for one in found)


async def test_a_read_token_may_ask_and_one_bound_to_apps_may_not(ask: Asking) -> None:
    _, read = await access.create(ask.db, name="reader", scope="read")
    _, bound = await access.create(ask.db, name="bound", scope="read", apps=["shop"])

    answers = [(await ask("GET", "/v1/doctor", token=token)).status_code for token in (read, bound, None)]

    assert answers == [200, 403, 401]


async def test_a_database_that_is_away_or_of_another_version_is_what_is_found(ask: Asking, empty_url: str) -> None:
    for url, name in (("postgresql://nobody@127.0.0.1:1/nothing", "database_away"), (empty_url, "database_schema")):
        db, app = Database.open(url), FastAPI()
        api.install(app, Api(db=db, access=Access(db, admin_token=ADMIN), public_url=PUBLIC_URL))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://drainwatch") as http:
            answer = await http.get("/v1/doctor", headers={"Authorization": f"Bearer {ADMIN}"})
        assert [one["name"] for one in answer.json()["findings"]] == [name]
        await db.close()


async def test_the_way_back_of_a_partition_that_is_missing_is_a_migration(embedded_url: str) -> None:
    db = Database.open(embedded_url)
    async with db.begin() as conn:
        # Of the last day but one: the last may have been wanted only since midnight.
        days = "select relname from pg_class where relname ~ '^frames_2' and relkind = 'r'"
        name = await conn.scalar(text(f"{days} order by relname desc offset 1 limit 1"))
        await conn.execute(text(f"drop table {name}"))
    found = doctor.findings(await doctor.gather(db, public_url=PUBLIC_URL))
    await db.close()
    assert name in next(one.what for one in found if one.name == "partitions_missing")
