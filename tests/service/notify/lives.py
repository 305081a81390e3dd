"""The words for incidents that have rows: they open, are over, come back; what is told of them, and what was decided."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from parsers.event import Severity
from service.incidents import lifecycle
from service.incidents.step import tell
from service.notify.fan_out import fan_out
from service.store import incidents, silences
from service.store.database import Database
from service.store.ids import new_id
from service.store.incidents import Incident
from service.store.silences import Silence

from .outbox import NOON, PUBLIC_URL, after

HOOK = "http://127.0.0.1:9/hook"


async def opened(
    db: Database, rule: str = "crash_loop", *, app: str = "shop", subject: str = "web", **differs: Any
) -> Incident:
    """An incident that opens at noon, with its row and its step."""
    async with db.begin() as conn:
        added = text("insert into apps (name, environment) values (:app, 'production') on conflict (name) do nothing")
        await conn.execute(added, {"app": app})
        app_id = (await conn.execute(text("select id from apps where name = :app"), {"app": app})).scalar_one()
        incident = Incident(
            **{
                "id": new_id(),
                "app_id": app_id,
                "app": app,
                "environment": "production",
                "version": 1,
                "rule": rule,
                "subject": subject,
                "severity": Severity.ERROR,
                "status": "open",
                "title": f"{rule} of {app}",
                "diagnosis": "",
                "remedies": [],
                "verify": "",
                "runbook": None,
                "opened_at": NOON,
                "last_seen_at": NOON,
                "acknowledged_at": None,
                "escalated_at": None,
                "resolved_at": None,
                "count": 1,
                "release": None,
                "evidence": [],
                "context": [],
                "traceback": None,
                **differs,
            }
        )
        await incidents.insert_new(conn, incident)
        await tell(conn, incident, "opened", at=incident.opened_at)
    return incident


async def goes_on(
    db: Database,
    incident: Incident,
    step: str,
    change: Callable[[Incident], Incident] = lambda one: one,
    *,
    seconds: float,
) -> Incident:
    """The next step of its life, so many seconds after noon."""
    async with db.begin() as conn:
        now = await incidents.one(conn, incident.id)
        assert now
        after_it = await incidents.replace_version(conn, change(now))
        assert after_it
        await tell(conn, after_it, step, at=after(seconds))
    return after_it


async def over(db: Database, incident: Incident, *, seconds: float) -> Incident:
    """It is resolved."""
    return await goes_on(
        db, incident, "resolved", lambda one: lifecycle.resolved(one, at=after(seconds)), seconds=seconds
    )


async def reopened(db: Database, incident: Incident, *, seconds: float, **differs: Any) -> Incident:
    """It comes back."""
    change = {"status": "open", "resolved_at": None, **differs}
    return await goes_on(db, incident, "reopened", lambda one: replace(one, **change), seconds=seconds)


async def silenced(
    db: Database, match: str, *, since: float = 0, until: float = 3600, comment: str = "deploying"
) -> Silence:
    """A silence from then until then, in seconds after noon."""
    async with db.begin() as conn:
        return await silences.add(
            conn, match=match, starts_at=after(since), ends_at=after(until), comment=comment, author="on call"
        )


async def told(db: Database, *, seconds: float = 0) -> list[tuple[str, Any]]:
    """Fans out at that time; what is owed because of it, in order: its type, and the rule that it is about, or the rules."""
    async with db.read() as conn:
        before = {row.id for row in await conn.execute(text("select id from deliveries"))}
    at = after(seconds)
    for _ in range(10):
        async with db.begin() as conn:
            if not await fan_out(conn, public_url=PUBLIC_URL, now=at):
                break
    async with db.read() as conn:
        rows = await conn.execute(text("select id, type, payload from deliveries order by endpoint_id, id"))
        return [(row.type.removeprefix("incident."), _about(row.payload)) for row in rows if row.id not in before]


async def reasons(db: Database, incident: Incident) -> list[tuple[str | None, bool, str]]:
    """What was decided of it, in order: the step, whether it was told, and why."""
    async with db.read() as conn:
        found = await conn.execute(
            text("""
                select t.type, d.told, d.reason from decisions d
                left join transitions t using (app_id, incident_id, number)
                where d.incident_id = :id order by d.id"""),
            {"id": incident.id},
        )
        return [(row.type, row.told, row.reason) for row in found]


def noon_and(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def _about(payload: str) -> Any:
    data = json.loads(payload)["data"]
    return sorted(one["rule"] for one in data["incidents"]) if "incidents" in data else data["incident"]["rule"]
