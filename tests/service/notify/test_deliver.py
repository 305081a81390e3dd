"""What comes of an attempt, over real sockets and a real database; the time is an argument: nobody waits for a back-off."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from parsers.event import Severity
from receiver import Receiver, answer, reset
from service.errors import Refused
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import NOON, PUBLIC_URL, add, after, incident_id, keep, ledger, rounds, step


async def test_the_steps_of_an_incident_arrive_signed_and_in_order(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        added = await add(db, receiver.url)
        await step(db, "opened")
        await rounds(deliverer)
        await step(db, "acknowledged", 2, status="acknowledged")
        await step(db, "resolved", 3, status="resolved")
        await rounds(deliverer)

    bodies = [Webhook(added.secret).verify(request.body, request.headers) for request in receiver.requests]
    assert [body["type"] for body in bodies] == ["incident.opened", "incident.acknowledged", "incident.resolved"]
    assert bodies[0]["timestamp"] == "2026-05-11T12:00:00.000000Z"
    assert bodies[0]["data"]["incident"]["title"] == "web keeps crashing"
    assert bodies[0]["data"]["url"] == f"{PUBLIC_URL}/v1/incidents/{incident_id()}"
    assert "late_by_s" not in bodies[0]["data"]["incident"]
    assert receiver.requests[0].headers["content-type"] == "application/json"


async def test_after_a_500_the_same_body_comes_again_under_the_same_id_five_seconds_later(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(500, body=b"oops"), answer(204)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        assert await rounds(deliverer) == 1
        assert await rounds(deliverer, at=after(4.9)) == 0
        assert await rounds(deliverer, at=after(5)) == 1

    first, second = receiver.requests
    assert (first.id, first.body) == (second.id, second.body)
    [delivery] = await ledger(db, endpoint.id)
    assert (delivery.status, str(delivery.id)) == ("delivered", first.id)
    assert [(one.status, one.error, one.answer) for one in delivery.attempts] == [
        (500, None, "oops"),
        (204, None, None),
    ]


async def test_410_disables_the_endpoint_and_ends_what_is_owed_to_it(db: Database, deliverer: Deliverer) -> None:
    async with Receiver([answer(410)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        await step(db, "acknowledged", 2)
        await rounds(deliverer)
        await step(db, "opened", of=2)
        await rounds(deliverer, at=after(3600))

    assert len(receiver.requests) == 1
    assert [one.status for one in await ledger(db, endpoint.id)] == ["dead", "dead"]
    assert (await endpoints.one(db, endpoint.id)).disabled_reason == "the receiver answered 410 (Gone)"


async def test_a_delivery_that_fails_for_a_day_is_dead_and_can_be_sent_again_under_its_id(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(500)]) as receiver:
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        at = NOON
        for _ in range(50):
            await rounds(deliverer, at=at)
            [delivery] = await ledger(db, endpoint.id)
            if delivery.status == "dead":
                break
            at = delivery.due_at
        tried = len(delivery.attempts)
        receiver.script = [answer(204)]
        assert await rounds(deliverer, at=after(7 * 86400)) == 0
        await endpoints.redeliver(db, delivery.id)
        await deliverer.round()

    assert 30 <= tried <= 40
    assert at - NOON <= timedelta(hours=24)
    [again] = await ledger(db, endpoint.id)
    assert (again.status, len(again.attempts)) == ("delivered", tried + 1)
    assert len({one.id for one in receiver.requests}) == 1


async def test_both_secrets_verify_for_a_day_after_a_rotation_and_the_old_one_no_longer(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        old = await add(db, receiver.url)
        new = await endpoints.rotate(db, old.endpoint.id)
        until = new.endpoint.previous_until
        assert until is not None
        await step(db, "opened")
        await rounds(deliverer, at=until - timedelta(minutes=1))
        await step(db, "opened", of=2)
        await rounds(deliverer, at=until)

    within, afterwards = receiver.requests
    Webhook(old.secret).verify(within.body, within.headers)
    Webhook(new.secret).verify(within.body, within.headers)
    Webhook(new.secret).verify(afterwards.body, afterwards.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old.secret).verify(afterwards.body, afterwards.headers)


async def test_a_test_arrives_marked_as_one_whatever_the_filter_says(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        added = await add(db, receiver.url, match="app:other", types=["incident.resolved"])
        queued = await endpoints.test(db, added.endpoint.id, public_url=PUBLIC_URL)
        await deliverer.round()

    [request] = receiver.requests
    body = Webhook(added.secret).verify(request.body, request.headers)
    assert (body["type"], body["data"]["test"], request.id) == ("webhook.test", True, str(queued.id))
    assert body["data"]["incident"]["title"].startswith("TEST")


async def test_a_test_tells_the_newest_incident_that_the_endpoint_would_be_told_of(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        added = await add(db, receiver.url, match="rule:crash_loop", min_severity=Severity.ERROR)
        await keep(db, of=1, at=NOON, status="resolved", title="the one")
        await keep(db, of=2, at=after(60), severity="warning")
        await keep(db, of=3, at=after(120), rule="memory_quota")
        await endpoints.test(db, added.endpoint.id, public_url=PUBLIC_URL)
        await deliverer.round()

    [request] = receiver.requests
    body = Webhook(added.secret).verify(request.body, request.headers)
    assert (body["type"], body["data"]["test"]) == ("webhook.test", True)
    assert (body["data"]["incident"]["id"], body["data"]["incident"]["title"]) == (str(incident_id(1)), "the one")
    assert body["data"]["url"].endswith(str(incident_id(1)))


async def test_pagerduty_gets_its_routing_key_with_each_event_and_no_kept_payload_holds_it(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver([answer(503), answer(202)]) as receiver:
        added = await add(db, receiver.url, format="pagerduty", routing_key="canary-key")
        await step(db, "opened")
        await rounds(deliverer)
        await rounds(deliverer, at=after(5))

    first, second = receiver.requests
    assert json.loads(first.body)["routing_key"] == "canary-key"
    assert first.body == second.body
    Webhook(added.secret).verify(first.body, first.headers)
    async with db.read() as conn:
        [row] = await conn.exec_driver_sql("select payload from deliveries")
    assert "canary" not in row.payload


async def test_nothing_of_an_endpoint_s_url_or_secret_is_logged_or_readable(
    db: Database, deliverer: Deliverer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Receiver([answer(500), reset, answer(302, {"Location": "http://canary/"}), answer(204)]) as receiver:
        added = await add(db, f"{receiver.url}/canary?canary=canary")
        await step(db, "opened")
        for seconds in (0, 10, 40, 100):
            await rounds(deliverer, at=after(seconds))
        found = await ledger(db, added.endpoint.id)
        shown = await endpoints.one(db, added.endpoint.id)
    with pytest.raises(Refused) as refused:
        await endpoints.redeliver(db, incident_id())

    output = capfd.readouterr()
    everything = f"{output} {caplog.text} {found} {shown} {added} {refused.value}"
    assert len(found[0].attempts) == 4
    assert "canary" not in everything
    assert added.secret not in everything
