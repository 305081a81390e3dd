"""What is told, before it has the format of the place that it goes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parsers.event import Severity
from service.wire.instant import instant
from service.wire.silence import SilenceJson

TEST = "webhook.test"
ACKNOWLEDGED = "incident.acknowledged"
ESCALATED = "incident.escalated"
OPENED, RESOLVED = "incident.opened", "incident.resolved"
# With these an incident becomes loud.
OPENINGS = frozenset({OPENED, "incident.reopened"})
# Not steps of an incident: time that went by, a storm, a silence that is over, an endpoint that was given up.
REMINDER = "incident.reminder"
DIGEST = "incidents.digest"
SILENCE_ENDED = "silence.ended"
DISABLED = "webhook.disabled"

# Kinds of transition that are told, and as what. The others (a note, say) are for the timeline alone. A severity that
# went up while the incident was open is an escalation to whoever reads of it.
TYPE_OF = {
    "opened": OPENED,
    "acknowledged": ACKNOWLEDGED,
    "escalated": ESCALATED,
    "raised": ESCALATED,
    "resolved": RESOLVED,
    "reopened": "incident.reopened",
    "loud": OPENED,  # what hushed it is over, and it stands
    "lapsed": REMINDER,  # nobody looks after it any more
    "settled": RESOLVED,  # it has flapped, and is over
    "steady": REMINDER,  # it has flapped, and stands
}
_NOT_OF_ONE = frozenset({DIGEST, SILENCE_ENDED, DISABLED})
# What an endpoint may ask for; a test comes to every endpoint.
TYPES = (*dict.fromkeys(TYPE_OF.values()), REMINDER, DIGEST, SILENCE_ENDED, DISABLED)


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing told: `type` as on the wire (`incident.opened`), `at` when it came about (events' time, aware UTC), `url` where
    a person reads on. `test`: nothing happened, somebody tries the endpoint.

    It is about one `incident` (its JSON as it was then); a digest and the end of a silence are about `incidents`, and
    `incident` is None or one that stands for all of them: the worst, under a title that sums them up. `silence` is the one
    that ended, `webhook` one that is told nothing any more.
    """

    type: str
    at: datetime
    incident: Mapping[str, Any] | None
    url: str
    test: bool = False
    incidents: Sequence[Mapping[str, Any]] = ()
    silence: Mapping[str, Any] | None = None
    webhook: Mapping[str, Any] | None = None

    @property
    def only_incident(self) -> Mapping[str, Any] | None:
        """The incident that it is about; None where it is about several, or none."""
        return None if self.type in _NOT_OF_ONE else self.incident

    @property
    def all_incidents(self) -> Sequence[Mapping[str, Any]]:
        """Every incident that it tells of, none for some."""
        return self.incidents or (() if self.incident is None else (self.incident,))


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
