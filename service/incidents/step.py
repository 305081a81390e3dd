"""A step of an incident's life: a row of its timeline and of the outbox, and a line of the log."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.log import log
from service.store import transitions
from service.store.incidents import Incident
from service.wire.incident import incident_json


async def tell(
    conn: AsyncConnection,
    incident: Incident,
    step: str,
    *,
    at: datetime,
    actor: str | None = None,
    note: str | None = None,
) -> None:
    """Appends the step that has made `incident` what it is, in the transaction that has."""
    await transitions.append(
        conn,
        app_id=incident.app_id,
        incident_id=incident.id,
        number=incident.version,
        type=step,
        at=at,
        incident=dict(incident_json(incident)),
        actor=actor,
        note=note,
    )
    log.info(
        f"incident.{step}",
        app=incident.app,
        rule=incident.rule,
        subject=incident.subject,
        severity=incident.severity.label,
        incident=str(incident.id),
    )
