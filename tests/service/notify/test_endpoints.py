from typing import Any
from uuid import UUID

import pytest

from service.errors import Refused
from service.notify import endpoints
from service.store import endpoints as rows
from service.store.database import Database

from .outbox import PUBLIC_URL, add, step

URL = "https://hooks.example.com/services/T0/canary"


async def test_an_added_endpoint_has_a_secret_that_is_shown_only_then(db: Database) -> None:
    added = await endpoints.add(db, url=URL, match="severity>=error", types=["incident.opened"])

    assert added.secret.startswith("whsec_")
    assert (added.endpoint.format, added.endpoint.match, added.endpoint.types) == (
        "standard",
        "severity>=error",
        ("incident.opened",),
    )
    assert added.endpoint.enabled
    assert await endpoints.listed(db) == [await endpoints.one(db, added.endpoint.id)] == [added.endpoint]
    assert added.secret not in repr(added)


async def test_a_listed_endpoint_shows_its_host_and_not_what_may_be_a_secret(db: Database) -> None:
    endpoint = (await endpoints.add(db, url=URL)).endpoint

    assert endpoint.url == "https://hooks.example.com/…"


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "https://hooks.example.com/" + "x" * 2048}, "url"),
        ({"format": "morse"}, "format"),
        ({"match": "severity>="}, "match"),
        ({"types": ["incident.exploded"]}, "types"),
        ({"types": []}, "types"),
        ({"format": "pagerduty"}, "routing_key"),
        ({"format": "pagerduty", "routing_key": "a key"}, "routing_key"),
        ({"format": "slack", "routing_key": "x" * 32}, "routing_key"),
        ({"repeat_s": 59}, "repeat_s"),
        ({"repeat_s": 8 * 86_400}, "repeat_s"),
        ({"quiet_hours": "at night"}, "quiet_hours"),
        ({"quiet_hours": "22:00-07:00 Mars/Base"}, "quiet_hours"),
        ({"format": "apprise", "url": "tgram://canary/1"}, "url"),
        ({"format": "apprise", "url": "tgram://canary/1", "allow_private": True}, "url"),
        ({"format": "apprise", "url": "http://127.0.0.1/notify/x"}, "url"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_with_its_parameter_and_what_was_expected(
    db: Database, values: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(Refused) as refused:
        await endpoints.add(db, **{"url": URL, **values})

    assert (refused.value.status, refused.value.parameter) == (400, parameter)
    assert refused.value.expected
    assert "expected" in refused.value.detail or "leave it out" in refused.value.detail
    assert "canary" not in refused.value.detail
    assert await endpoints.listed(db) == []


async def test_a_wrong_filter_is_refused_with_its_column(db: Database) -> None:
    with pytest.raises(Refused) as refused:
        await endpoints.add(db, url=URL, match="app:raxx (")

    assert refused.value.column is not None
    assert refused.value.column >= 10


async def test_an_endpoint_that_is_not_there_is_a_404(db: Database) -> None:
    for call in (
        endpoints.one(db, 7),
        endpoints.test(db, 7, public_url=PUBLIC_URL),
        endpoints.rotate(db, 7),
        endpoints.disable(db, 7),
        endpoints.enable(db, 7),
        endpoints.remove(db, 7),
        endpoints.deliveries_of(db, 7),
        endpoints.redeliver(db, UUID(int=7)),
    ):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.status == 404


async def test_a_removed_endpoint_is_gone_and_its_url_and_secret_are_forgotten(db: Database) -> None:
    endpoint = (await endpoints.add(db, url=URL)).endpoint
    await endpoints.remove(db, endpoint.id)

    assert await endpoints.listed(db) == []
    async with db.read() as conn:
        [row] = await conn.exec_driver_sql("select url, secret from endpoints")
    assert (row.url, row.secret) == ("", "")


async def test_a_removed_endpoint_s_routing_key_is_forgotten_and_never_shown(db: Database) -> None:
    added = await endpoints.add(db, url=URL, format="pagerduty", routing_key="canary-key")
    assert "canary" not in repr(added)
    await endpoints.remove(db, added.endpoint.id)

    async with db.read() as conn:
        [row] = await conn.exec_driver_sql("select routing_key from endpoints")
    assert row.routing_key is None


async def test_a_second_rotation_forgets_the_first_secret(db: Database) -> None:
    first = await endpoints.add(db, url=URL)
    second = await endpoints.rotate(db, first.endpoint.id)
    third = await endpoints.rotate(db, first.endpoint.id)

    async with db.read() as conn:
        row = await rows.one(conn, first.endpoint.id)
    assert row is not None
    assert (row.secret, row.previous_secret) == (third.secret, second.secret)


async def test_a_disabled_endpoint_says_why_and_cannot_be_tested_until_it_is_enabled(db: Database) -> None:
    endpoint = (await endpoints.add(db, url=URL)).endpoint
    await endpoints.disable(db, endpoint.id, reason="moving house")
    with pytest.raises(Refused) as refused:
        await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)
    enabled = await endpoints.enable(db, endpoint.id)

    assert (refused.value.status, "moving house" in refused.value.detail) == (409, True)
    assert enabled.enabled
    assert (await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)).status == "pending"


async def test_only_what_is_done_with_can_be_sent_again_and_only_to_who_is_enabled(db: Database) -> None:
    endpoint = (await add(db, URL)).endpoint
    pending = await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)
    with pytest.raises(Refused) as on_its_way:
        await endpoints.redeliver(db, pending.id)
    await endpoints.disable(db, endpoint.id)
    with pytest.raises(Refused) as disabled:
        await endpoints.redeliver(db, pending.id)
    await endpoints.enable(db, endpoint.id)

    assert (on_its_way.value.status, disabled.value.status) == (409, 409)
    assert (await endpoints.redeliver(db, pending.id)).status == "pending"


async def test_deliveries_are_listed_newest_first_page_by_page(db: Database) -> None:
    endpoint = (await endpoints.add(db, url=URL)).endpoint
    queued = [(await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)).id for _ in range(5)]
    await step(db, "opened")

    first = await endpoints.deliveries_of(db, endpoint.id, limit=3)
    second = await endpoints.deliveries_of(db, endpoint.id, limit=3, after=first.next)

    assert [one.id for one in first.items + second.items] == list(reversed(queued))
    assert second.next is None
