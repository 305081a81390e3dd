"""A notification in words for people, before it has any markup: what every format but `standard` is made of.

Nothing here is escaped or cut to a format's limits. Control characters are gone, and what comes from logs is on one line
each, so that no text can draw outside its place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.notify.notification import (
    ACKNOWLEDGED,
    DIGEST,
    DISABLED,
    ESCALATED,
    REMINDER,
    RESOLVED,
    SILENCE_ENDED,
    TEST,
    Notification,
)

# Of an incident's evidence: the first, which began it, and the newest. The rest is a click away.
_NEWEST_SHOWN = 5
_TRACEBACK_SHOWN = 12
_INCIDENTS_SHOWN = 20

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_RANKS = ("debug", "info", "warning", "error", "critical")
_BEFORE = {
    ACKNOWLEDGED: "Acknowledged: ",
    ESCALATED: "Escalated: ",
    RESOLVED: "Resolved: ",
    "incident.reopened": "Reopened: ",
    REMINDER: "Still open: ",
    TEST: "TEST: ",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A part under its own heading: prose (one line) or, with `code`, lines to be shown as they are."""

    name: str
    lines: tuple[str, ...]
    code: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """What is said: one line, what a reader must know at a glance, then the rest by importance. `severity` is the worst of
    all that it is about; `good`: something is over. `links` are texts and http or https URLs."""

    headline: str
    severity: str
    good: bool
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    links: tuple[tuple[str, str], ...]


def tell(notification: Notification) -> Telling:
    """What is said of it. Total: what an incident's JSON does not have is left out."""
    headline, facts, sections = _PARTS.get(notification.type, _incident)(notification)
    return Telling(
        headline=one_line(headline),
        severity=_worst(notification),
        good=notification.type in (RESOLVED, ACKNOWLEDGED),
        facts=tuple((name, one_line(value)) for name, value in facts if value not in (None, "")),
        sections=tuple(section for section in sections if any(section.lines)),
        links=_links(notification),
    )


def one_line(text: object) -> str:
    """Text without control characters, its lines joined."""
    return " ⏎ ".join(_CONTROL.sub("·", line) for line in str(text).splitlines())


_Parts = tuple[str, list[tuple[str, Any]], list[Section]]


def _incident(notification: Notification) -> _Parts:
    told = notification.only_incident or {}
    title = str(told.get("title") or "an incident")
    before = _BEFORE.get(notification.type, "")
    if notification.type not in (RESOLVED, ACKNOWLEDGED):
        title = f"[{told.get('severity', 'info')}] {title}"
    facts = [
        ("App", f"{told.get('app', '')} ({told.get('environment', '')})"),
        ("Where", told.get("subject")),
        ("Severity", told.get("severity")),
        ("Rule", told.get("rule")),
        ("Since", _when(told.get("opened_at"))),
        ("Last seen", _when(told.get("last_seen_at"))),
        ("Resolved", _when(told.get("resolved_at"))),
        ("Count", told.get("count")),
        ("Flapping", f"since {_when(told['flapping_since'])}" if told.get("flapping_since") else None),
        ("After release", _release(told.get("release"))),
        ("Told late by", f"{told['late_by_s']} s" if told.get("late_by_s") else None),
    ]
    prose = [Section("Diagnosis", (one_line(told.get("diagnosis") or ""),))]
    if notification.type == ACKNOWLEDGED:
        return f"{before}{title}", facts, prose
    shown = [Section("Evidence", _evidence(told.get("evidence") or ()), code=True)]
    if notification.type == RESOLVED:
        return f"{before}{title}", facts, [*prose, *shown]
    to_do = [
        Section("What to do", tuple(one_line(one) for one in told.get("remedies") or ()), code=True),
        Section("Verify", (one_line(told.get("verify") or ""),)),
    ]
    trace = [one_line(line) for line in told.get("traceback") or ()]
    return (
        f"{before}{title}",
        facts,
        [*prose, *to_do, *shown, Section("Traceback", tuple(trace[-_TRACEBACK_SHOWN:]), code=True)],
    )


def _digest(notification: Notification) -> _Parts:
    apps = {str(one.get("app")) for one in notification.incidents}
    count = len(notification.incidents)
    headline = f"{count} incidents at once in {len(apps)} {'app' if len(apps) == 1 else 'apps'}"
    return headline, [("Apps", ", ".join(sorted(apps)))], [_listed("Incidents", notification.incidents)]


def _silence(notification: Notification) -> _Parts:
    silence = notification.silence or {}
    count = len(notification.incidents)
    loud = (
        "nothing is loud again"
        if count == 0
        else f"{count} {'incident is' if count == 1 else 'incidents are'} loud again"
    )
    facts = [
        ("Silenced", silence.get("match")),
        ("By", silence.get("author") or silence.get("created_by")),
        ("Comment", silence.get("comment")),
        ("From", _when(silence.get("starts_at"))),
        ("Until", _when(silence.get("ends_at"))),
    ]
    return f"A silence ended: {loud}", facts, [_listed("Incidents", notification.incidents)]


def _disabled(notification: Notification) -> _Parts:
    webhook = notification.webhook or {}
    facts = [("Webhook", webhook.get("id")), ("To", webhook.get("url")), ("Format", webhook.get("format"))]
    remedy = f"drainwatch webhook deliveries {webhook.get('id')}    # what it answered; mended? then:"
    again = f"drainwatch webhook enable {webhook.get('id')}"
    return (
        f"[error] Webhook {webhook.get('id')} is told nothing any more",
        facts,
        [
            Section("Diagnosis", (one_line(webhook.get("disabled_reason") or ""),)),
            Section("What to do", (remedy, again), code=True),
        ],
    )


# What has no part of its own is about one incident.
_PARTS: Mapping[str, Callable[[Notification], _Parts]] = {
    DIGEST: _digest,
    SILENCE_ENDED: _silence,
    DISABLED: _disabled,
}


def _listed(name: str, incidents: Sequence[Mapping[str, Any]]) -> Section:
    worst_first = sorted(incidents, key=lambda one: -_rank(one.get("severity")))
    lines = [
        one_line(f"[{one.get('severity', 'info')}] {one.get('app', '')}: {one.get('title', '')}")
        for one in worst_first[:_INCIDENTS_SHOWN]
    ]
    if more := len(incidents) - len(lines):
        lines.append(f"… and {more:,} more")
    return Section(name, tuple(lines), code=True)


def _evidence(evidence: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The first event and the newest, oldest first; between them how many are left out."""
    lines = [_event(one) for one in evidence]
    left_out = len(lines) - 1 - _NEWEST_SHOWN
    if left_out > 0:
        lines[1:-_NEWEST_SHOWN] = [f"… {left_out:,} more"]
    return tuple(lines)


def _event(event: Mapping[str, Any]) -> str:
    at = str(event.get("ts") or "")
    return one_line(f"{at[11:19]} {event.get('dyno') or event.get('process') or ''} {event.get('message') or ''}")


def _release(release: Mapping[str, Any] | None) -> str | None:
    if not release:
        return None
    what = f"{release.get('version') or 'a release'} ({release.get('description') or ''})"
    actor = f" by {release['actor']}" if release.get("actor") else ""
    return f"{what}{actor}, {release.get('seconds_before', 0)} s before"


def _when(at: object) -> str | None:
    """`2026-05-11T12:00:00.123456Z` → `2026-05-11 12:00:00 UTC`."""
    if not at:
        return None
    try:
        return f"{datetime.fromisoformat(str(at)):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return str(at)


def _worst(notification: Notification) -> str:
    if notification.type == DISABLED:
        return "error"
    ranks = [_rank(one.get("severity")) for one in notification.all_incidents]
    return _RANKS[max(ranks, default=1)]


def _rank(severity: object) -> int:
    return _RANKS.index(str(severity)) if severity in _RANKS else 1


def _links(notification: Notification) -> tuple[tuple[str, str], ...]:
    incident = notification.only_incident
    links = [("Open the incident" if incident is not None else "Open drainwatch", notification.url)]
    if incident is not None and incident.get("runbook"):
        links.append(("Runbook", str(incident["runbook"])))
    return tuple((text, url) for text, url in links if re.fullmatch(r"https?://[!-~]{1,1000}", url))
