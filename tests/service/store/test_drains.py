from datetime import UTC, datetime, timedelta

from service.store import apps, drains
from service.store.database import Database
from service.store.drains import Drain


async def add(db: Database, app: str, secret_hash: bytes = b"hash") -> Drain:
    async with db.begin() as conn:
        known = await apps.ensure(conn, name=app, environment="production")
        return await drains.add(conn, app_id=known.id, secret_hash=secret_hash, logplex_token="d.1")


async def test_an_apps_drains_are_found_by_its_name_with_what_a_post_must_prove(db: Database) -> None:
    first, second = await add(db, "shop", b"one"), await add(db, "shop", b"two")
    await add(db, "blog", b"three")

    async with db.read() as conn:
        found = await drains.find(conn, "shop")
        nobody = await drains.find(conn, "nobody")

    assert [(one.id, one.secret_hash) for one in found] == [(first.id, b"one"), (second.id, b"two")]
    assert {(one.app, one.environment, one.logplex_token) for one in found} == {("shop", "production", "d.1")}
    assert nobody == []


async def test_a_new_secret_makes_the_one_before_the_previous_one(db: Database) -> None:
    drain = await add(db, "shop", b"old")
    until = datetime.now(UTC) + timedelta(hours=24)

    async with db.begin() as conn:
        replaced = await drains.replace_secret(conn, drain.id, secret_hash=b"new", previous_until=until)
        (found,) = await drains.find(conn, "shop")

    assert replaced
    assert (found.secret_hash, found.previous_hash, found.previous_until) == (b"new", b"old", until)


async def test_a_removed_drain_is_found_and_changed_no_more(db: Database) -> None:
    drain = await add(db, "shop")

    async with db.begin() as conn:
        removed = await drains.remove(conn, drain.id)
        again = await drains.remove(conn, drain.id)
        replaced = await drains.replace_secret(conn, drain.id, secret_hash=b"", previous_until=drain.created_at)
        found = (await drains.find(conn, "shop"), await drains.listed(conn), await drains.one(conn, drain.id))

    assert (removed, again, replaced) == (True, False, False)
    assert found == ([], [], None)


async def test_two_who_register_an_app_at_once_get_the_same_one(db: Database) -> None:
    async with db.begin() as conn:
        first = await apps.ensure(conn, name="shop", environment="production")
        second = await apps.ensure(conn, name="shop", environment="staging")

    assert first == second
    assert second.environment == "production"
