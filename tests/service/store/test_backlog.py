from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import insert, text

from service.store import backlog
from service.store.database import Database
from service.store.tables import deliveries, endpoints, pending, transitions


@pytest_asyncio.fixture(loop_scope="session")
async def db(emptied_url: str) -> AsyncIterator[Database]:
    """One server is enough for counting."""
    opened = Database.open(emptied_url)
    yield opened
    await opened.close()


async def waiting(db: Database) -> dict[str, tuple[int, int]]:
    """What waits at each stage, and for how many whole minutes it has been late."""
    async with db.read() as conn:
        return {stage.name: (stage.waiting, int(stage.late_s // 60)) for stage in await backlog.stages(conn)}


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def test_where_nothing_waits_nothing_is_late(db: Database) -> None:
    assert await waiting(db) == {"fold": (0, 0), "fan_out": (0, 0), "deliver": (0, 0)}


async def test_chunks_that_are_not_folded_are_as_late_as_the_oldest_of_them(db: Database) -> None:
    async with db.begin() as conn:
        for app_id, minutes in ((1, 30.5), (2, 90.5), (2, 10.5)):
            row = {"app_id": app_id, "chunk_id": uuid4(), "received_at": ago(minutes), "newest_at": ago(0), "events": 0}
            await conn.execute(insert(pending).values(row))

    assert (await waiting(db))["fold"] == (3, 90)


async def test_a_clock_of_another_machine_that_is_ahead_makes_nothing_late(db: Database) -> None:
    async with db.begin() as conn:
        row = {"app_id": 1, "chunk_id": uuid4(), "received_at": ago(-30), "newest_at": ago(0), "events": 0}
        await conn.execute(insert(pending).values(row))

    assert (await waiting(db))["fold"] == (1, 0)


async def test_transitions_wait_until_they_are_fanned_out(db: Database) -> None:
    async with db.begin() as conn:
        for number, fanned_out_at in ((1, ago(0)), (2, None), (3, None)):
            row = {
                "app_id": 1,
                "incident_id": uuid4(),
                "number": number,
                "type": "opened",
                "at": ago(0),
                "incident": {},
            }
            made_at = ago(70.5 - 10 * number)
            await conn.execute(insert(transitions).values(row | {"made_at": made_at, "fanned_out_at": fanned_out_at}))

    assert (await waiting(db))["fan_out"] == (2, 50)


async def test_a_delivery_is_late_from_when_it_is_due_and_only_where_somebody_receives(db: Database) -> None:
    async with db.begin() as conn:
        for id, disabled_reason, removed_at in ((1, None, None), (2, "410", None), (3, None, ago(0))):
            row = {"id": id, "url": "", "secret": "", "format": "standard", "match": "", "allow_private": False}
            await conn.execute(
                insert(endpoints).values(row | {"disabled_reason": disabled_reason, "removed_at": removed_at})
            )
        for endpoint_id, status, minutes in (
            (1, "pending", 20.5),
            (1, "pending", -60),
            (1, "delivered", 500),
            (2, "pending", 500),
            (3, "pending", 500),
        ):
            row = {"id": uuid4(), "endpoint_id": endpoint_id, "type": "", "status": status, "payload": ""}
            await conn.execute(insert(deliveries).values(row | {"due_at": ago(minutes), "give_up_at": ago(-90)}))

    assert (await waiting(db))["deliver"] == (2, 20)


async def test_incidents_are_counted_by_rule_severity_and_status_until_they_are_resolved(db: Database) -> None:
    async with db.begin() as conn:
        for subject, rule, severity, status in (
            ("web", "crash_loop", 4, "open"),
            ("worker", "crash_loop", 4, "open"),
            ("bot", "crash_loop", 4, "acknowledged"),
            ("shop", "drain_loss", 2, "open"),
            ("blog", "drain_loss", 2, "resolved"),
        ):
            await conn.execute(
                text("""
                    insert into incidents (app_id, id, version, rule, subject, severity, status, title, diagnosis, remedies,
                        verify, opened_at, last_seen_at, count, evidence, context)
                    values (1, gen_random_uuid(), 1, :rule, :subject, :severity, :status, '', '', '[]', '', now(), now(), 1,
                        '[]', '[]')"""),
                {"rule": rule, "subject": subject, "severity": severity, "status": status},
            )

    async with db.read() as conn:
        found = [(one.rule, one.severity, one.status, one.number) for one in await backlog.ongoing(conn)]
    assert found == [
        ("crash_loop", "critical", "acknowledged", 1),
        ("crash_loop", "critical", "open", 2),
        ("drain_loss", "warning", "open", 1),
    ]
