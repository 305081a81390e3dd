"""An incident's JSON: the same in the API, and as a webhook tells it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from service.detect.gaps import Gap, Gaps
from service.store.incidents import Gist, Incident
from service.store.transitions import Transition
from service.wire.event import EventJson
from service.wire.instant import instant
from service.wire.line import ContextLineJson

MOST_GAPS = 20


class StepJson(TypedDict):
    """A step of an incident's life. `at` is the time of the events that brought it; `actor` null: drainwatch itself."""

    number: int
    type: str
    at: str
    actor: str | None
    note: str | None


class ReleaseJson(TypedDict):
    """The app's last release within 30 minutes before the incident's first event."""

    version: str | None
    description: str
    actor: str | None
    released_at: str
    seconds_before: int


# `from` is no name in Python.
GapJson = TypedDict("GapJson", {"from": str, "to": str | None, "number": int | None, "reason": str})
GapJson.__doc__ = "Time in which nobody heard the app: by an L code, or as the drain was `silent`."


class IncidentJson(TypedDict):
    """One occurrence of a rule at a subject. `key` names it through reopenings; `version` is the number of its last step and
    does not rise where only more is seen of it.

    `evidence`: the first event and the newest 20. `context`: the lines around the first one. `flapping`: it comes and goes,
    since `flapping_since`, and is told again when it has been stable. `gaps`: when nobody heard the app meanwhile, by an L
    code or as the drain was `silent` (`to` null: it still is), and how many lines were lost, if known.
    """

    id: str
    version: int
    rule: str
    key: str
    app: str
    environment: str
    subject: str
    severity: str
    status: str
    title: str
    diagnosis: str
    remedies: list[str]
    verify: str
    runbook: str | None
    opened_at: str
    last_seen_at: str
    acknowledged_at: str | None
    escalated_at: str | None
    resolved_at: str | None
    count: int
    release: ReleaseJson | None
    evidence: list[EventJson]
    context: list[ContextLineJson]
    traceback: list[str] | None
    flapping: bool
    flapping_since: str | None
    gaps: list[GapJson]
    checks: list[Mapping[str, Any]]


class IncidentGistJson(TypedDict):
    """An incident in a line. `notifications`: how often somebody was told of it."""

    id: str
    rule: str
    key: str
    app: str
    environment: str
    subject: str
    severity: str
    status: str
    title: str
    diagnosis: str
    count: int
    opened_at: str
    resolved_at: str | None
    notifications: int


class IncidentWithTimelineJson(IncidentJson):
    """An incident and the steps of its life, the first one first."""

    timeline: list[StepJson]


def incident_json(incident: Incident) -> IncidentJson:
    """The incident without its timeline, which grows with each step that is told."""
    stored: Any = incident  # its JSON parts are stored as they go out
    return {
        "id": str(incident.id),
        "version": incident.version,
        "rule": incident.rule,
        "key": incident.key,
        "app": incident.app,
        "environment": incident.environment,
        "subject": incident.subject,
        "severity": incident.severity.label,
        "status": incident.status,
        "title": incident.title,
        "diagnosis": incident.diagnosis,
        "remedies": incident.remedies,
        "verify": incident.verify,
        "runbook": incident.runbook,
        "opened_at": instant(incident.opened_at),
        "last_seen_at": instant(incident.last_seen_at),
        "acknowledged_at": _optional(incident.acknowledged_at),
        "escalated_at": _optional(incident.escalated_at),
        "resolved_at": _optional(incident.resolved_at),
        "count": incident.count,
        "release": stored.release,
        "evidence": stored.evidence,
        "context": stored.context,
        "traceback": incident.traceback,
        "flapping": incident.flapping_since is not None,
        "flapping_since": _optional(incident.flapping_since),
        "gaps": stored.gaps,
        "checks": [],
    }


def gist_json(incident: Gist) -> IncidentGistJson:
    """The incident in a line."""
    return {
        "id": str(incident.id),
        "rule": incident.rule,
        "key": f"{incident.rule}/{incident.app}/{incident.subject}",
        "app": incident.app,
        "environment": incident.environment,
        "subject": incident.subject,
        "severity": incident.severity.label,
        "status": incident.status,
        "title": incident.title,
        "diagnosis": incident.diagnosis,
        "count": incident.count,
        "opened_at": instant(incident.opened_at),
        "resolved_at": _optional(incident.resolved_at),
        "notifications": incident.notifications,
    }


def gaps_json(gaps: Gaps, *, since: datetime, until: datetime | None = None) -> list[dict[str, Any]]:
    """The gaps that touch that time, as an incident keeps them: the newest twenty."""
    return [dict(gap_json(one)) for one in gaps.within(since, until)[-MOST_GAPS:]]


def gap_json(gap: Gap) -> GapJson:
    """The JSON of one gap."""
    return {"from": instant(gap.since), "to": _optional(gap.until), "number": gap.number, "reason": gap.reason}


def with_timeline_json(incident: Incident, timeline: Sequence[Transition]) -> IncidentWithTimelineJson:
    """The incident with the steps of its life."""
    return {**incident_json(incident), "timeline": [step_json(step) for step in timeline]}


def step_json(step: Transition) -> StepJson:
    """One step; what the incident was like then is left out."""
    return {
        "number": step.number,
        "type": step.type,
        "at": instant(step.at),
        "actor": step.actor,
        "note": step.note,
    }


def _optional(at: datetime | None) -> str | None:
    return instant(at) if at else None
