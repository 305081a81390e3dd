"""The states of an incident, and what each finding makes of it. Pure: the incident as it is and a finding go in.

`open → acknowledged → resolved`, and `reopened` when the same rule fires at the same subject soon after.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from service.detect.detector import Alarm, Cleared, Finding, Fired
from service.store.incidents import Incident

OPENED, ACKNOWLEDGED, RAISED, RESOLVED, REOPENED = "opened", "acknowledged", "raised", "resolved", "reopened"

# Soon after: what comes back within this time was not over.
REOPENS_WITHIN = timedelta(minutes=15)


def on_fired(incident: Incident | None, fired: Fired) -> str | None:
    """What `fired` makes of the newest incident of its rule and subject: OPENED, REOPENED, RAISED, or None for nothing.

    What happened before a resolution does not undo it.
    """
    if incident is None:
        return OPENED
    if incident.resolved_at is None:
        return RAISED if fired.alarm.severity > incident.severity else None
    if fired.at <= incident.resolved_at:
        return None
    return REOPENED if fired.at <= incident.resolved_at + REOPENS_WITHIN else OPENED


def seen(incident: Incident, alarm: Alarm) -> Incident:
    """`incident` with what its alarm has come to: a late line may have moved its beginning."""
    return replace(
        incident,
        opened_at=min(incident.opened_at, alarm.since),
        last_seen_at=max(incident.last_seen_at, alarm.last_at),
        count=max(incident.count, alarm.count),
    )


def raised(incident: Incident, alarm: Alarm) -> Incident:
    """`incident` as bad as its alarm has become; who has acknowledged less has not acknowledged this."""
    return replace(seen(incident, alarm), severity=alarm.severity, status="open", acknowledged_at=None)


def reopened(incident: Incident, fired: Fired) -> Incident:
    """`incident`, which was resolved, as one that goes on."""
    return replace(
        incident,
        severity=max(incident.severity, fired.alarm.severity),
        status="open",
        last_seen_at=fired.alarm.last_at,
        count=incident.count + fired.alarm.count,
        acknowledged_at=None,
        escalated_at=None,
        resolved_at=None,
    )


def resolved(incident: Incident, *, at: datetime) -> Incident:
    """`incident` as one that is over, since `at`."""
    return replace(incident, status="resolved", resolved_at=max(at, incident.opened_at))


def amended(incident: Incident, end: Cleared) -> Incident:
    """`incident`, which is over, with its end as late lines have made it."""
    severity = max(incident.severity, end.alarm.severity)
    return replace(resolved(seen(incident, end.alarm), at=end.at), severity=severity)


def begun_otherwise(incident: Incident, was: Finding, now: Fired) -> Incident:
    """`incident`, which goes on, with its beginning as late lines have made it: at another time, or less bad."""
    at = now.alarm.since if incident.opened_at == was.alarm.since else incident.opened_at
    less = now.alarm.severity < was.alarm.severity
    return replace(incident, opened_at=at, severity=now.alarm.severity if less else incident.severity)


def acknowledged(incident: Incident, *, at: datetime) -> Incident:
    """`incident` as one that somebody looks after."""
    return replace(incident, status="acknowledged", acknowledged_at=at)
