"""What is told, before it has the format of the place that it goes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    "loud": "incident.opened",  # what hushed it is over, and it stands
    "lapsed": REMINDER,  # nobody looks after it any more
    "settled": RESOLVED,  # it has flapped, and is over
    "steady": REMINDER,  # it has flapped, and stands
}
_NOT_OF_ONE = frozenset({DIGEST, SILENCE_ENDED, DISABLED})
# What an endpoint may ask for; a test comes to every endpoint.
TYPES = tuple(dict.fromkeys((*TYPE_OF.values(), REMINDER, DIGEST, SILENCE_ENDED, DISABLED)))


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
