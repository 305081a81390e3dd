"""Why was there no page at 03:12? What stood then, what was decided of it, and what was in force."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.errors import Refused
from service.store import apps, decisions, incidents, silences
from service.store.database import Database
from service.store.decisions import Explained
from service.store.incidents import Gist
from service.wire.decision import DecisionJson, ExplanationJson, decision_json
from service.wire.incident import gist_json
from service.wire.instant import instant
from service.wire.silence import silence_json

# Who asks about 03:12 means that minute.
_ABOUT = timedelta(minutes=1)
# With that minute's room at both ends of the calendar.
_FIRST, _LAST = (datetime.min.replace(tzinfo=UTC) + _ABOUT, datetime.max.replace(tzinfo=UTC) - _ABOUT)
_INCIDENTS, _DECISIONS = 50, 1000


async def of_incident(db: Database, incident_id: UUID, *, limit: int = _DECISIONS) -> list[DecisionJson]:
    """All that was decided of telling the incident, the first `limit`, in order. Raises Refused (404) where there is none."""
    async with db.read() as conn:
        incident = await incidents.one(conn, incident_id)
        if incident is None:
            raise Refused(404, f"there is no incident {str(incident_id)!r}, or none any more")
        found = await decisions.of_incidents(conn, incident.app_id, [incident.id], limit=limit)
    return [decision_json(one) for one in found]


async def at_time(db: Database, *, app: str, at: datetime) -> ExplanationJson:
    """What of the app was told about that time, or why nothing was."""
    at = min(max(at, _FIRST), _LAST)
    async with db.read() as conn:
        known = await apps.known(conn, name=app)
        stood = await incidents.gists(conn, since=at - _ABOUT, until=at + _ABOUT, app=app, limit=_INCIDENTS)
        before = [] if stood else await incidents.page(conn, app=app, until=at, limit=1)
        decided = {
            one.id: await decisions.of_incidents(conn, next(iter(known)), [one.id], until=at + _ABOUT, limit=_DECISIONS)
            for one in stood
        }
        in_force = await silences.between(conn, since=at, until=at)
    if not known:
        says = f"No app named {app} has a drain here, so nothing of it could be told."
    elif not stood:
        last = before[0] if before else None
        was = f" The last one before was {last.rule} of {last.subject}, {_until(last.resolved_at)}." if last else ""
        says = f"No incident of {app} stood at {instant(at)}, so there was nothing to tell.{was}"
    else:
        says = " ".join(_sentence(one, decided[one.id]) for one in stood)
    return {
        "app": app,
        "at": instant(at),
        "says": says,
        "incidents": [
            {**gist_json(one), "decisions": [decision_json(two) for two in decided[one.id]]} for one in stood
        ],
        "silences": [silence_json(one, now=at) for one in in_force],
    }


def _sentence(incident: Gist, decided: Sequence[Explained]) -> str:
    what = f"{incident.rule} of {incident.subject} stood since {instant(incident.opened_at)}"
    if not decided:
        return f"{what}: nothing was decided yet."
    told = [one.decision for one in decided if one.decision.told]
    if told:
        where = ", ".join(str(one) for one in sorted({one.endpoint_id for one in told if one.endpoint_id}))
        says = f"{what}: told first at {instant(told[0].at)}, last at {instant(told[-1].at)} (webhook {where})."
        return f"{says}{_held_back(decided)}"
    reasons = list(dict.fromkeys(one.decision.reason for one in decided))
    return f"{what}: told nowhere, for {'; '.join(reasons)}."


def _held_back(decided: Sequence[Explained]) -> str:
    """What was decided last, where that was to tell nobody."""
    newest = decided[-1].decision
    if any(one.decision.told for one in decided if one.decision.at == newest.at):
        return ""
    return f" At {instant(newest.at)} nobody was told, for {newest.reason}."


def _until(resolved_at: datetime | None) -> str:
    return f"over since {instant(resolved_at)}" if resolved_at else "which stands"
