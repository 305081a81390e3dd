"""What is told, before it has the format of the place that it goes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parsers.event import Severity
from service.wire.instant import instant
from service.wire.silence import SilenceJson

TEST = "webhook.test"
OPENED, REMINDER, RESOLVED = "incident.opened", "incident.reminder", "incident.resolved"
DIGEST = "incidents.digest"
SILENCE_ENDED = "silence.ended"
# With these an incident becomes loud.
OPENINGS = frozenset({OPENED, "incident.reopened"})

# Kinds of transition that are told, and as what. The others (a note, say) are for the timeline alone. A severity that
# went up while the incident was open is an escalation to whoever reads of it.
TYPE_OF = {
    "opened": OPENED,
    "acknowledged": "incident.acknowledged",
    "escalated": "incident.escalated",
    "raised": "incident.escalated",
    "resolved": RESOLVED,
    "reopened": "incident.reopened",
    "loud": OPENED,  # what hushed it is over, and it stands
    "lapsed": REMINDER,  # nobody looks after it any more
    "settled": RESOLVED,  # it has flapped, and is over
    "steady": REMINDER,  # it has flapped, and stands
}
# What an endpoint may ask for; a test comes to every endpoint. A digest comes in the place of openings, to whoever wants them.
TYPES = tuple(dict.fromkeys([*TYPE_OF.values(), SILENCE_ENDED]))


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing told: `type` as on the wire (`incident.opened`), `at` when it came about (events' time, aware UTC),
    `incident` its JSON as it was then, `url` where a person reads on. `test`: nothing happened, somebody tries the endpoint.

    A digest and the end of a silence are about `incidents`; `incident` is then one that stands for all of them: the worst,
    under a title that sums them up.
    """

    type: str
    at: datetime
    incident: Mapping[str, Any]
    url: str
    test: bool = False
    incidents: Sequence[Mapping[str, Any]] = ()
    silence: Mapping[str, Any] | None = None


def late(incident: Mapping[str, Any], *, since: datetime, now: datetime) -> dict[str, Any]:
    """The incident's JSON, with how late it is told: the whole seconds from `since` to `now`."""
    return {**incident, "late_by_s": max(0, int((now - since).total_seconds()))}


def incident_url(public_url: str, incident: Mapping[str, Any]) -> str:
    """Where a person, or a program with a token, reads on about the incident."""
    return f"{public_url.rstrip('/')}/v1/incidents/{incident['id']}"


def digest(incidents: Sequence[Mapping[str, Any]], *, at: datetime, public_url: str) -> Notification:
    """Several incidents that opened at about the same time, as one."""
    title = f"{len(incidents)} incidents opened: {_worst(incidents)['title']}, and others"
    return _of_many(DIGEST, incidents, title=title, at=at, public_url=public_url)


def silence_ended(
    silence: SilenceJson, incidents: Sequence[Mapping[str, Any]], *, at: datetime, public_url: str
) -> Notification:
    """A silence has ended; `incidents` stand, and are loud again."""
    loud = f"{len(incidents)} of its incidents stand" if incidents else "nothing of it stands"
    title = f"Silence {silence['id']} ({silence['match']}) has ended, {loud}"
    return _of_many(SILENCE_ENDED, incidents, title=title, at=at, public_url=public_url, silence=silence)


def _of_many(
    type: str,
    incidents: Sequence[Mapping[str, Any]],
    *,
    title: str,
    at: datetime,
    public_url: str,
    silence: SilenceJson | None = None,
) -> Notification:
    # Evidence and lines of hundreds would be megabytes: they are where each one's url leads.
    short = [
        {**one, "evidence": [], "context": [], "traceback": None, "url": incident_url(public_url, one)}
        for one in incidents
    ]
    return Notification(
        type,
        at,
        {**(_worst(short) if short else _nothing(at)), "title": title},
        f"{public_url.rstrip('/')}/v1/incidents",
        incidents=short,
        silence=silence,
    )


def _worst(incidents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(incidents, key=lambda one: Severity.of(one["severity"]))


def _nothing(at: datetime) -> dict[str, Any]:
    """What stands for no incident at all, where a format wants one."""
    words = ("id", "rule", "key", "app", "environment", "subject", "diagnosis", "verify")
    times = ("acknowledged_at", "escalated_at", "resolved_at", "release", "traceback", "runbook")
    return {
        **dict.fromkeys(words, ""),
        **dict.fromkeys(times, None),
        **{name: instant(at) for name in ("opened_at", "last_seen_at")},
        **{name: [] for name in ("remedies", "evidence", "context", "checks")},
        "severity": "info",
        "status": "resolved",
        "count": 0,
        "version": 1,
    }
