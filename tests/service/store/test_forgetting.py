"""What is old and lies in no partition is forgotten in bounded steps, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from service.store import forgetting
from service.store.database import Database
from service.store.ids import new_id
from service.store.tables import attempts, deliveries, endpoints, incidents, quarantine, transitions

OLD = datetime(2026, 5, 11, 12, tzinfo=UTC)
BEFORE = OLD + timedelta(days=1)
NEW = OLD + timedelta(days=2)


@pytest_asyncio.fixture(loop_scope="session")
async def store(emptied_url: str) -> AsyncIterator[Database]:
    """A database with nothing in it but the endpoint 1."""
    db = Database.open(emptied_url)
    async with db.begin() as conn:
        endpoint = {"url": "https://hooks.example.com", "secret": "s", "format": "standard", "match": ""}
        await conn.execute(endpoints.insert(), endpoint | {"allow_private": False})
    yield db
    await db.close()


async def happened(
    db: Database, *, resolved_at: datetime | None = OLD, told: str | None = "delivered", fanned_out: bool = True
) -> UUID:
    """An incident since OLD, its timeline of one step, and what an endpoint was told of it; gives its id."""
    incident_id = new_id()
    incident = {"app_id": 1, "id": incident_id, "version": 1, "rule": "crash_loop", "subject": str(incident_id)}
    incident |= {"severity": 4, "status": "resolved" if resolved_at else "open", "title": "", "diagnosis": ""}
    incident |= {"remedies": [], "verify": "", "opened_at": OLD, "last_seen_at": OLD, "resolved_at": resolved_at}
    step = {"app_id": 1, "incident_id": incident_id, "number": 1, "type": "incident.opened", "at": OLD, "incident": {}}
    async with db.begin() as conn:
        await conn.execute(incidents.insert(), incident | {"count": 1, "evidence": [], "context": []})
        await conn.execute(transitions.insert(), step | {"fanned_out_at": OLD if fanned_out else None})
    if told:
        await deliver(db, told, incident_id=incident_id)
    return incident_id


async def deliver(db: Database, status: str, *, created_at: datetime = OLD, incident_id: UUID | None = None) -> None:
    """A delivery with one attempt."""
    delivery = {"id": new_id(), "endpoint_id": 1, "type": "webhook.test", "status": status, "payload": "{}"}
    delivery |= {"app_id": 1, "incident_id": incident_id, "number": 1 if incident_id else None}
    async with db.begin() as conn:
        times = {"created_at": created_at, "due_at": created_at, "give_up_at": created_at}
        await conn.execute(deliveries.insert(), delivery | times)
        await conn.execute(attempts.insert(), {"delivery_id": delivery["id"], "number": 1, "at": created_at, "ms": 1})


async def forgotten(db: Database, forget: Any, *, most: int = 100) -> int:
    async with db.begin() as conn:
        return int(await forget(conn, BEFORE, most=most))


async def counts(db: Database, *tables: Any) -> list[int]:
    async with db.read() as conn:
        return [int(await conn.scalar(select(func.count()).select_from(table)) or 0) for table in tables]


OF_INCIDENTS = (incidents, transitions, deliveries, attempts)


async def test_an_incident_that_was_over_long_ago_goes_with_all_that_was_told_of_it(store: Database) -> None:
    await happened(store)
    await happened(store, resolved_at=NEW)
    await happened(store, resolved_at=None)

    assert await forgotten(store, forgetting.incidents_before) == 1
    assert await counts(store, *OF_INCIDENTS) == [2, 2, 2, 2]


@pytest.mark.parametrize("owed", [{"told": "pending"}, {"fanned_out": False}], ids=["to deliver", "to fan out"])
async def test_an_incident_of_which_somebody_is_still_to_be_told_stays(store: Database, owed: dict[str, Any]) -> None:
    await happened(store, **owed)

    assert await forgotten(store, forgetting.incidents_before) == 0
    assert await counts(store, *OF_INCIDENTS) == [1, 1, 1, 1]


async def test_deliveries_of_no_incident_go_once_they_are_old_and_done_with(store: Database) -> None:
    await deliver(store, "delivered")
    await deliver(store, "dead")
    await deliver(store, "pending")
    await deliver(store, "delivered", created_at=NEW)
    await happened(store, resolved_at=None)

    assert await forgotten(store, forgetting.deliveries_before) == 2
    assert await counts(store, deliveries, attempts) == [3, 3]


async def test_each_step_is_bounded_and_begins_with_the_oldest(store: Database) -> None:
    rows = [
        {"app_id": 1, "id": new_id(), "received_at": OLD + timedelta(seconds=n), "reason": str(n), "body": b"x"}
        for n in (2, 0, 3, 1)
    ]
    rows.append({"app_id": 1, "id": new_id(), "received_at": NEW, "reason": "new", "body": b"x"})
    async with store.begin() as conn:
        await conn.execute(quarantine.insert(), rows)

    assert await forgotten(store, forgetting.quarantine_before, most=3) == 3
    async with store.read() as conn:
        assert set(await conn.scalars(select(quarantine.c.reason))) == {"3", "new"}
    assert await forgotten(store, forgetting.quarantine_before, most=3) == 1


async def test_several_at_once_neither_wait_for_each_other_nor_forget_anything_twice(store: Database) -> None:
    for _ in range(8):
        await happened(store)
        await deliver(store, "delivered")
    for forget in (forgetting.incidents_before, forgetting.deliveries_before):
        async with store.begin() as conn:
            assert await forget(conn, BEFORE, most=5) == 5
            async with asyncio.timeout(30):
                assert await forgotten(store, forget, most=5) == 3

    assert await counts(store, *OF_INCIDENTS) == [0, 0, 0, 0]
