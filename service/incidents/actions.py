"""What a person may do to an incident. Two at once: the first one's version stands, the other gets 409 with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from service.errors import Refused
from service.incidents import lifecycle
from service.incidents.step import tell
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from service.wire.incident import incident_json


async def acknowledge(db: Database, incident_id: UUID, *, version: int | None, actor: str) -> Incident:
    """Somebody looks after it. Raises Refused: 404 no such incident, 409 it is resolved, or `version` is not its newest."""

    def change(incident: Incident, now: datetime) -> Incident:
        if incident.status == "resolved":
            raise _stale(incident, "is resolved; expected one that is open")
        return lifecycle.acknowledged(incident, at=now)

    return await _act(db, incident_id, version, actor, lifecycle.ACKNOWLEDGED, change)


async def resolve(db: Database, incident_id: UUID, *, version: int | None, actor: str) -> Incident:
    """It is over, says a person; it is reopened if it goes on. Raises Refused like `acknowledge`."""

    def change(incident: Incident, now: datetime) -> Incident:
        if incident.status == "resolved":
            raise _stale(incident, "is resolved already")
        return lifecycle.resolved(incident, at=now)

    return await _act(db, incident_id, version, actor, lifecycle.RESOLVED, change)


async def note(db: Database, incident_id: UUID, *, text: str, actor: str) -> Incident:
    """`text` in the incident's timeline. Raises Refused (404) where there is no such incident."""
    return await _act(db, incident_id, None, actor, lifecycle.NOTE, lambda incident, _: incident, text=text)


async def _act(
    db: Database,
    incident_id: UUID,
    version: int | None,
    actor: str,
    step: str,
    change: Callable[[Incident, datetime], Incident],
    *,
    text: str | None = None,
) -> Incident:
    now = datetime.now(UTC)
    async with db.begin() as conn:
        incident = await incidents.one(conn, incident_id, lock=True)
        if incident is None:
            raise Refused(404, f"there is no incident {str(incident_id)!r}, or none any more")
        if version is not None and version != incident.version:
            raise _stale(incident, f"is at version {incident.version} by now, not {version}")
        after = await incidents.replace_version(conn, change(incident, now))
        if after is None:
            raise _stale(incident, "was changed at the same moment")
        await tell(conn, after, step, at=now, actor=actor, note=text)
        return after


def _stale(incident: Incident, why: str) -> Refused:
    return Refused(
        409,
        f"incident {incident.id} {why}; look at it as it is now and decide again",
        parameter="version",
        extra={"incident": dict(incident_json(incident))},
    )
