"""The states of an incident, and what findings, people and time make of it. Pure: the incident as it is goes in.

`open → acknowledged → resolved`, and `reopened` when the same rule fires at the same subject soon after. What nobody
acknowledges escalates, once; an acknowledgement lapses; what is reopened again and again flaps until it has been stable.
`timer_at` is when time alone brings the next step, on the app's clock.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from service.detect.detector import Alarm, Cleared, Finding, Fired
from service.store.incidents import Incident

OPENED, ACKNOWLEDGED, RAISED, RESOLVED, REOPENED = "opened", "acknowledged", "raised", "resolved", "reopened"
NOTE, ESCALATED, LAPSED = "note", "escalated", "lapsed"
# It has flapped, and now has been over, or has stood, for long enough.
SETTLED, STEADY = "settled", "steady"

# Soon after: what comes back within this time was not over.
REOPENS_WITHIN = timedelta(minutes=15)
# Open for so long, and nobody looks after it.
ESCALATES_AFTER = timedelta(minutes=30)
# Reopened so often within so long it flaps, until it has neither ended nor come back for a while.
FLAPS_AT, FLAPS_WITHIN, STABLE_AFTER = 3, timedelta(hours=1), timedelta(minutes=15)


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
        count=max(incident.count, incident.counted_before + alarm.count),
    )


def opened(incident: Incident) -> Incident:
    """A new incident, with the timer that begins with it."""
    return replace(incident, timer_at=incident.opened_at + ESCALATES_AFTER)


def raised(incident: Incident, fired: Fired) -> Incident:
    """`incident` as bad as its alarm has become; who has acknowledged less has not acknowledged this."""
    after = replace(seen(incident, fired.alarm), severity=fired.alarm.severity, status="open", acknowledged_at=None)
    return _timed(after, since=fired.at) if incident.acknowledged_at else after


def reopened(incident: Incident, fired: Fired, before: Sequence[datetime] = ()) -> Incident:
    """`incident`, which was resolved, as one that goes on. `before` is when it was reopened earlier, in any order."""
    goes_on = incident.resolved_at is not None and fired.alarm.since <= incident.resolved_at  # a person has ended it
    lately = [at for at in before if at > fired.at - FLAPS_WITHIN]
    flaps = len(lately) + 1 >= FLAPS_AT
    counted_before = incident.counted_before if goes_on else incident.count
    after = replace(
        incident,
        severity=max(incident.severity, fired.alarm.severity),
        status="open",
        last_seen_at=fired.alarm.last_at,
        count=max(incident.count, counted_before + fired.alarm.count),
        counted_before=counted_before,
        acknowledged_at=None,
        escalated_at=None,
        resolved_at=None,
        flapping_since=incident.flapping_since or (fired.at if flaps else None),
    )
    return _timed(after, since=fired.at)


def resolved(incident: Incident, *, at: datetime) -> Incident:
    """`incident` as one that is over, since `at`."""
    ended_at = max(at, incident.opened_at)
    return _timed(replace(incident, status="resolved", resolved_at=ended_at), since=ended_at)


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
    after = replace(incident, status="acknowledged", acknowledged_at=at)
    return after if after.flapping_since else replace(after, timer_at=None)


def lapsed(incident: Incident, *, at: datetime) -> Incident:
    """`incident`, which somebody looked after long ago, as one that nobody does."""
    after = replace(incident, status="open", acknowledged_at=None)
    return after if after.flapping_since else _timed(after, since=at)


def on_timer(incident: Incident) -> tuple[Incident, str | None]:
    """What becomes of `incident` as its `timer_at` has come, and which step that is (None: none)."""
    at = incident.timer_at
    if at is None:
        return incident, None
    if incident.flapping_since:
        over = incident.status == "resolved"
        return _timed(replace(incident, flapping_since=None), since=at), SETTLED if over else STEADY
    if incident.status == "open" and incident.escalated_at is None:
        return replace(incident, escalated_at=at, timer_at=None), ESCALATED
    return replace(incident, timer_at=None), None


def _timed(incident: Incident, *, since: datetime) -> Incident:
    """`incident` with the timer that begins at `since`."""
    if incident.flapping_since:
        return replace(incident, timer_at=since + STABLE_AFTER)
    if incident.status == "open" and incident.escalated_at is None:
        return replace(incident, timer_at=since + ESCALATES_AFTER)
    return replace(incident, timer_at=None)
