"""What becomes of findings: incidents, and the transitions of their lives, in the transaction that folds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from service.detect.detector import Cleared, Finding, Fired
from service.detect.gaps import Gaps
from service.detect.history import Folded
from service.detect.rule import Rule
from service.incidents import context, lifecycle
from service.incidents.context import FlagPrefix
from service.incidents.step import tell
from service.incidents.traceback import with_traceback
from service.store import incidents, transitions
from service.store.ids import new_id
from service.store.incidents import Incident
from service.store.leases import Lease
from service.wire.incident import gaps_json

# What is said with the reopening that makes an incident one that flaps.
_FLAPS = "reopened three times within an hour: it flaps, and is told again when it has been stable for 15 minutes"


class Overtaken(Exception):
    """A person has changed the incident meanwhile."""


async def record(
    conn: AsyncConnection,
    lease: Lease,
    rule: Rule,
    key: str,
    folded: Folded[Any],
    known: Mapping[UUID, Event],
    gaps: Gaps,
    *,
    flag_prefix: FlagPrefix,
) -> None:
    """Makes incidents, and transitions of theirs, of what a fold of `rule` at `key` has found; `known` are events at hand,
    `gaps` the times in which nobody heard the app.

    Raises Overtaken where a person has changed the incident meanwhile: the transaction is to be rolled back.
    """
    if not folded.news and folded.alarm is None and not folded.amended:
        return
    incident = await incidents.newest(conn, lease.app_id, rule=rule.name, subject=key)
    for was, now in folded.amended:
        if incident and isinstance(now, Cleared) and incident.resolved_at == was.at:
            incident = await _refreshed(conn, lifecycle.amended(incident, now))
        elif incident and isinstance(now, Fired) and incident.resolved_at is None:
            mended = lifecycle.begun_otherwise(incident, was, now)
            incident = await _refreshed(conn, mended) if mended != incident else incident
    findings: Sequence[Finding] = folded.news
    if not findings and folded.alarm and incident and incident.resolved_at:
        # Somebody has resolved it, but it goes on.
        findings = (Fired(folded.alarm.last_at, folded.alarm),)
    for finding in findings:
        if isinstance(finding, Fired):
            incident = await _fired(conn, lease, rule, key, incident, finding, known, flag_prefix)
        elif incident and incident.resolved_at is None:
            incident = await _cleared(conn, lease, incident, finding, known, gaps)
    if incident and incident.resolved_at is None and folded.alarm:
        after = lifecycle.seen(incident, folded.alarm)
        after = replace(after, gaps=gaps_json(gaps, since=after.opened_at))
        if after != incident:
            shown = await context.evidence_json(conn, lease, folded.alarm, known, kept=incident.evidence)
            await incidents.see(conn, replace(after, evidence=shown))


async def _fired(
    conn: AsyncConnection,
    lease: Lease,
    rule: Rule,
    key: str,
    incident: Incident | None,
    fired: Fired,
    known: Mapping[UUID, Event],
    flag_prefix: FlagPrefix,
) -> Incident | None:
    step = lifecycle.on_fired(incident, fired)
    if step is None:
        return incident
    shown = await context.evidence_json(conn, lease, fired.alarm, known)
    said = await context.say(conn, lease, rule, key, fired.alarm, shown, flag_prefix)
    texts: dict[str, Any] = {
        "title": said.title,
        "diagnosis": said.diagnosis,
        "remedies": said.remedies,
        "verify": said.verify,
        "evidence": shown,
    }
    if step == lifecycle.OPENED or incident is None:
        new = Incident(
            id=new_id(),
            app_id=lease.app_id,
            app=lease.app,
            environment=lease.environment,
            version=1,
            rule=rule.name,
            subject=key,
            severity=fired.alarm.severity,
            status="open",
            runbook=rule.runbook,
            opened_at=fired.at,
            last_seen_at=fired.alarm.last_at,
            acknowledged_at=None,
            escalated_at=None,
            resolved_at=None,
            count=fired.alarm.count,
            release=await context.release_before(conn, lease, fired.alarm),
            context=[dict(line) for line in await context.lines_around(conn, lease, fired.alarm.first_event)],
            traceback=None,
            inhibits=rule.inhibits,
            **texts,
        )
        after = await with_traceback(conn, lifecycle.opened(new), now=datetime.now(UTC))
        await incidents.insert_new(conn, after)
    elif step == lifecycle.REOPENED:
        before = await transitions.times(conn, app_id=incident.app_id, incident_id=incident.id, type=lifecycle.REOPENED)
        after = await replaced(conn, replace(lifecycle.reopened(incident, fired, before), **texts))
    else:
        after = await replaced(conn, replace(lifecycle.raised(incident, fired), **texts))
    flaps = after.flapping_since == fired.at
    await tell(conn, after, step, at=fired.at, note=_FLAPS if flaps else None)
    return after


async def _cleared(
    conn: AsyncConnection,
    lease: Lease,
    incident: Incident,
    cleared: Cleared,
    known: Mapping[UUID, Event],
    gaps: Gaps,
) -> Incident:
    shown = await context.evidence_json(conn, lease, cleared.alarm, known, kept=incident.evidence)
    after = lifecycle.resolved(lifecycle.seen(incident, cleared.alarm), at=cleared.at)
    gaps_then = gaps_json(gaps, since=after.opened_at, until=after.resolved_at)
    after = await replaced(conn, replace(after, evidence=shown, gaps=gaps_then))
    await tell(conn, after, lifecycle.RESOLVED, at=cleared.at, note=cleared.reason)
    return after


async def replaced(conn: AsyncConnection, incident: Incident) -> Incident:
    """The incident with its next version, once it is written: it goes with a step. Raises Overtaken."""
    return _not_overtaken(await incidents.replace_version(conn, incident))


async def _refreshed(conn: AsyncConnection, incident: Incident) -> Incident:
    return _not_overtaken(await incidents.refresh(conn, incident))


def _not_overtaken(after: Incident | None) -> Incident:
    if after is None:
        raise Overtaken
    return after
