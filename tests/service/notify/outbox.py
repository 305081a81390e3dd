"""The words that tests about telling people are written in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Severity
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store import transitions
from service.store.database import Database
from service.store.deliveries import Delivery

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
PUBLIC_URL = "https://drainwatch.example.com"
# What a WayOut makes for itself; reading all the world's certificates takes longer than most tests here.
SYSTEM_TLS = httpx.create_ssl_context()

# With the options of a Deliverer.
MakeDeliverer = Callable[..., Deliverer]


def after(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def incident(n: int = 1, **changes: Any) -> dict[str, Any]:
    """The JSON of the n-th incident, as far as telling it needs it."""
    return {
        "id": str(incident_id(n)),
        "rule": "crash_loop",
        "key": f"crash_loop/raxx-api-prod/web{n}",
        "app": "raxx-api-prod",
        "environment": "production",
        "subject": f"web{n}",
        "severity": "critical",
        "status": "open",
        "title": "web keeps crashing",
        "opened_at": "2026-05-11T12:00:00.000000Z",
        **changes,
    }


def incident_id(n: int = 1) -> UUID:
    return UUID(int=0x0190_A3C0_0000_7000_8000_0000_0000_0000 + n)


async def append(
    conn: AsyncConnection, type: str, number: int = 1, *, of: int = 1, at: datetime = NOON, **changes: Any
) -> None:
    """The step `number` of the incident `of`."""
    await transitions.append(
        conn, app_id=1, incident_id=incident_id(of), number=number, type=type, at=at, incident=incident(of, **changes)
    )


async def step(db: Database, type: str, number: int = 1, *, of: int = 1, at: datetime = NOON, **changes: Any) -> None:
    """Commits the step `number` of the incident `of`."""
    async with db.begin() as conn:
        await append(conn, type, number, of=of, at=at, **changes)


async def keep(db: Database, *, of: int = 1, **changes: Any) -> None:
    """Keeps the incident `of` as it is now, of which `step` only tells."""
    told = {**incident(of), "acknowledged_at": None, "resolved_at": None, **changes}
    row = {
        "id": incident_id(of),
        "severity": int(Severity.of(told["severity"])),
        **{name: told[name] for name in ("rule", "subject", "status", "title", "acknowledged_at", "resolved_at")},
        "opened_at": told.get("at", NOON),
    }
    async with db.begin() as conn:
        await conn.execute(
            text("insert into apps (name, environment) values ('raxx-api-prod', 'production') on conflict do nothing")
        )
        await conn.execute(
            text("""
                insert into incidents (app_id, id, version, rule, subject, severity, status, title, diagnosis, remedies, verify,
                    opened_at, last_seen_at, acknowledged_at, resolved_at, count, evidence, context)
                values (1, :id, 1, :rule, :subject, :severity, :status, :title, '', '[]', '',
                    :opened_at, :opened_at, :acknowledged_at, :resolved_at, 1, '[]', '[]')
                on conflict (app_id, id) do update set status = excluded.status, severity = excluded.severity"""),
            row,
        )


async def add(db: Database, url: str, *, private: bool = True, **options: Any) -> endpoints.NewSecret:
    """An endpoint on this machine, which `private` allows."""
    return await endpoints.add(db, url=url, allow_private=private, **options)


async def rounds(deliverer: Deliverer, *, at: datetime = NOON) -> int:
    """Rounds until nothing is due any more at that time; how many attempts they made."""
    total = 0
    while attempts := await deliverer.round(now=at):
        total += attempts
    return total


async def ledger(db: Database, endpoint_id: int) -> list[Delivery]:
    """All deliveries of an endpoint, the first one first."""
    return list(reversed((await endpoints.deliveries_of(db, endpoint_id, limit=1000)).items))
