"""What holds whatever happens: a receiver that fails at random, workers that die with their claims, two at work at once, and a
clock that is an argument. Each seed is one such world."""

import asyncio
import json
import random
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from receiver import Receiver, Script, answer, reset
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.notify.fan_out import fan_out
from service.store import claims
from service.store.database import Database
from service.store.deliveries import Delivery

from ..outbox import NOON, PUBLIC_URL, SYSTEM_TLS, add, append, ledger, rounds

INCIDENTS = 6
LIVES = (
    ("opened", "resolved"),
    ("opened", "acknowledged", "resolved"),
    ("opened", "raised", "resolved", "reopened", "resolved"),
    ("opened", "resolved", "reopened", "acknowledged"),
)
FAILURES = (answer(500), answer(503, {"Retry-After": "20"}), answer(429, {"Retry-After": "7"}), reset)


@pytest.mark.parametrize("seed", range(6))
async def test_everything_arrives_in_order_under_one_id_each_and_nothing_is_owed_in_the_end(
    db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    taken: list[dict[str, Any]] = []
    async with Receiver() as receiver, WayOut(tls=SYSTEM_TLS) as way_out:
        receiver.script = [failing_at_random(receiver, chance, taken)]
        endpoint = (await add(db, receiver.url)).endpoint
        workers = [Deliverer(db, way_out, public_url=PUBLIC_URL, chance=chance.random) for _ in range(2)]
        now = await lived(db, workers, chance)
        for _ in range(200):
            await rounds(workers[0], at=now)
            left = [one for one in await ledger(db, endpoint.id) if one.status == "pending"]
            if not left:
                break
            now = max(now, min(one.due_at for one in left)) + timedelta(seconds=31)  # a dead one's claims lapse
        found = await ledger(db, endpoint.id)

    assert {one.status for one in found} <= {"delivered", "superseded"}
    for incident_id, deliveries in of_each_incident(found).items():
        arrived = [one for one in taken if one["incident"] == incident_id]
        order = [str(one.id) for one in deliveries]
        # Once for each id that was taken, and never one after its successor.
        ids = [one["id"] for one in arrived]
        assert ids == sorted(set(ids), key=order.index)
        # What was not told is told by the resolution after it, which says how late.
        assert set(ids) == {str(one.id) for one in deliveries if one.status == "delivered"}
        assert arrived[-1]["type"] == deliveries[-1].type


async def lived(db: Database, workers: list[Deliverer], chance: random.Random) -> datetime:
    """Lets the incidents live while the workers work, and some die; when the last step was."""
    left = {n: list(enumerate(chance.choice(LIVES), 1)) for n in range(INCIDENTS)}
    now = NOON
    while left:
        n = chance.choice(sorted(left))
        number, kind = left[n].pop(0)
        if not left[n]:
            del left[n]
        status = kind if kind in ("resolved", "acknowledged") else "open"
        async with db.begin() as conn:
            await append(conn, kind, number, of=n, at=now, status=status)
        if chance.random() < 0.3:
            await die_with_claims(db, now)
        await asyncio.gather(*(worker.round(now=now) for worker in workers))
        now += timedelta(seconds=chance.choice([0, 1, 6, 40]))
    return now


async def die_with_claims(db: Database, now: datetime) -> None:
    """A worker claims all that it may and is never heard of again."""
    async with db.begin() as conn:
        await fan_out(conn, public_url=PUBLIC_URL, now=now)
    async with db.begin() as conn:
        due = await claims.due_endpoints(conn, now=now)
        await claims.claim(conn, due, now=now, limit=9, per_endpoint=4, lasts=timedelta(seconds=30))


def failing_at_random(receiver: Receiver, chance: random.Random, taken: list[dict[str, Any]]) -> Script:
    """Fails four times in ten; what it takes is noted."""

    async def respond(writer: Any) -> None:
        request = receiver.requests[-1]
        if chance.random() < 0.4:
            return await chance.choice(FAILURES)(writer)
        body = json.loads(request.body)
        taken.append({"id": request.id, "type": body["type"], "incident": body["data"]["incident"]["id"]})
        return await answer(204)(writer)

    return respond


def of_each_incident(found: list[Delivery]) -> dict[str, list[Delivery]]:
    by_incident: defaultdict[str, list[Delivery]] = defaultdict(list)
    for one in found:
        by_incident[str(one.incident_id)].append(one)
    return by_incident
