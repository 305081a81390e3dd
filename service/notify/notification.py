"""What is told, before it has the format of the place that it goes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TEST = "webhook.test"
RESOLVED = "incident.resolved"
# With these an incident becomes loud.
OPENINGS = frozenset({"incident.opened", "incident.reopened"})

# Kinds of transition that are told, and as what. The others (a note, say) are for the timeline alone. A severity that
# went up while the incident was open is an escalation to whoever reads of it.
TYPE_OF = {
    "opened": "incident.opened",
    "acknowledged": "incident.acknowledged",
    "escalated": "incident.escalated",
    "raised": "incident.escalated",
    "resolved": RESOLVED,
    "reopened": "incident.reopened",
}
# What an endpoint may ask for; a test comes to every endpoint.
TYPES = tuple(dict.fromkeys(TYPE_OF.values()))


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing told: `type` as on the wire (`incident.opened`), `at` when it came about (events' time, aware UTC),
    `incident` its JSON as it was then, `url` where a person reads on. `test`: nothing happened, somebody tries the endpoint.
    """

    type: str
    at: datetime
    incident: Mapping[str, Any]
    url: str
    test: bool = False


def late(incident: Mapping[str, Any], *, since: datetime, now: datetime) -> dict[str, Any]:
    """The incident's JSON, with how late it is told: the whole seconds from `since` to `now`."""
    return {**incident, "late_by_s": max(0, int((now - since).total_seconds()))}


def incident_url(public_url: str, incident: Mapping[str, Any]) -> str:
    """Where a person, or a program with a token, reads on about the incident."""
    return f"{public_url.rstrip('/')}/v1/incidents/{incident['id']}"
