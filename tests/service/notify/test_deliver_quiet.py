"""Quiet hours at the edge: what is held back, what is not, and in which order it arrives."""

import json
from datetime import UTC, datetime, timedelta

from receiver import Receiver
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import PUBLIC_URL, add, after, ledger, rounds, step

# Noon is at 12:00 UTC.
AN_HOUR_OF_QUIET = "12:00-13:00 UTC"
OVER = after(3600)


def in_the_next_quiet_hour() -> datetime:
    """Half past noon of tomorrow: later than anything that the database's own clock dates, whatever time it is."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=12, minute=30)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    bodies = [json.loads(one.body) for one in receiver.requests]
    return [(one["type"].removeprefix("incident."), one["data"]["incident"]["severity"]) for one in bodies]


async def test_in_quiet_hours_only_what_is_critical_is_told_and_the_rest_afterwards(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)).endpoint
        await step(db, "opened", severity="error")
        await step(db, "opened", of=2, severity="critical")
        await rounds(deliverer, at=after(60))
        within = told(receiver)
        [held] = [one for one in await ledger(db, endpoint.id) if one.status == "pending"]
        await rounds(deliverer, at=OVER)

    assert within == [("opened", "critical")]
    assert held.due_at == OVER
    assert told(receiver) == [*within, ("opened", "error")]


async def test_what_opened_and_ended_in_quiet_hours_is_one_message_after_them(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)
        await step(db, "opened", severity="warning")
        await rounds(deliverer)
        await step(db, "resolved", 2, at=after(600), severity="warning", status="resolved")
        await rounds(deliverer, at=after(601))
        await rounds(deliverer, at=OVER)

    [request] = receiver.requests
    body = json.loads(request.body)
    assert (body["type"], body["data"]["incident"]["late_by_s"]) == ("incident.resolved", 3600)


async def test_an_incident_that_becomes_critical_takes_with_it_what_was_held_back_of_it(
    db: Database, deliverer: Deliverer
) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)
        await step(db, "opened", severity="warning")
        await rounds(deliverer)
        await step(db, "raised", 2, at=after(600), severity="critical")
        await rounds(deliverer, at=after(600))

    assert told(receiver) == [("opened", "warning"), ("escalated", "critical")]


async def test_a_test_is_sent_in_quiet_hours_too(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)).endpoint
        await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)
        await deliverer.round(now=in_the_next_quiet_hour())

    assert len(receiver.requests) == 1


async def test_when_quiet_hours_are_ended_by_hand_what_they_held_back_goes(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)).endpoint
        await step(db, "opened", severity="warning")
        await deliverer.round(now=in_the_next_quiet_hour())
        before = len(receiver.requests)
        await endpoints.change(db, endpoint.id, {"quiet_hours": None})
        await deliverer.round(now=in_the_next_quiet_hour())

    assert (before, len(receiver.requests)) == (0, 1)


async def test_what_is_held_back_is_not_given_up_sooner(db: Database, deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET)
        await step(db, "opened", severity="warning")
        await rounds(deliverer, at=after(1800))

    async with db.read() as conn:
        [row] = await conn.exec_driver_sql("select due_at, give_up_at from deliveries")
    assert (row.due_at, row.give_up_at) == (OVER, after(86_400 + 3600))


async def test_a_digest_is_held_back_unless_something_in_it_is_critical(db: Database, deliverer: Deliverer) -> None:
    for worst, arrived in (("warning", 0), ("critical", 1)):
        async with Receiver() as receiver:
            await add(db, receiver.url, quiet_hours=AN_HOUR_OF_QUIET, match=f"environment:{worst}")
            for n in range(12):
                severity = worst if n == 0 else "warning"
                await step(db, "opened", of=100 * arrived + n, severity=severity, environment=worst)
            await rounds(deliverer, at=after(10))
        digests = [one for one in receiver.requests if json.loads(one.body)["type"] == "incidents.digest"]
        assert len(digests) == arrived
