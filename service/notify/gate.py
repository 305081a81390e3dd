"""Whether a step of an incident is told at all, before any route is asked: silences, inhibition, flapping. Pure.

That an incident is over is told wherever its opening was, whatever is hushed meanwhile; so the gate lets that through.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from parsers.event import Event
from parsers.filters import parse_filter, predicate
from service.notify.routes import incident_as_event
from service.store.hushed import Cause
from service.store.silences import Silence

# Steps with which an incident becomes loud, and those that end it.
LOUD = frozenset({"opened", "reopened", "raised", "escalated", "lapsed", "steady", "loud"})
ENDS = frozenset({"resolved", "settled"})
# Steps of which nobody is told while the incident flaps; and why.
_FLAPPING = frozenset({"reopened", "resolved", "raised", "escalated", "lapsed"})
FLAPS = "it flaps, and is told again when it has been stable for 15 minutes"


@dataclass(frozen=True, slots=True)
class Hush:
    """Why a step is told nowhere, as the end of a sentence that begins "not told, for"; and the silence or the cause, where it
    is one: when that ends, the incident is to be told if it still stands."""

    reason: str
    silence_id: int | None = None
    cause_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Keepers:
    """All that may keep something from being told: silences, and incidents that inhibit others."""

    silences: Sequence[Silence] = ()
    causes: Sequence[Cause] = ()


def hush(
    incident: Mapping[str, Any],
    step: str,
    *,
    app_id: int,
    at: datetime,
    ended_at: datetime | None,
    now: datetime,
    keepers: Keepers,
    told: bool,
    marked: bool,
) -> Hush | None:
    """What hushes the step of `incident` (its JSON as it was then) that came about at `at`; None: the routes decide.

    `told`: it was told somewhere since it was last over. `marked`: it was hushed before. A silence or a cause counts if it
    holds now, and for an incident that is over (`ended_at`) also if it held then: catching up after an outage is no
    different from having been there.
    """
    if step in ENDS and told:
        return _flapping(incident, step, at)
    found = _silenced(incident, ended_at, now, keepers.silences) or _inhibited(
        incident, app_id, ended_at, keepers.causes
    )
    if found and not (found.cause_id and told and step == "acknowledged"):
        return found
    if marked and not told and step not in LOUD:
        return Hush("its opening was hushed")
    return _flapping(incident, step, at)


def matches(match: str, incident: Mapping[str, Any]) -> bool:
    """Whether the filter text `match` holds for the incident (its JSON)."""
    return _filter(match)(incident_as_event(incident))


def _silenced(
    incident: Mapping[str, Any], ended_at: datetime | None, now: datetime, silences: Sequence[Silence]
) -> Hush | None:
    for one in silences:
        if (one.holds(now) or (ended_at and one.holds(ended_at))) and matches(one.match, incident):
            said = f", {one.comment}" if one.comment else ""
            return Hush(
                f"silence {one.id} ({one.match}{said}; by {one.author}) holds until {one.ends_at:%Y-%m-%d %H:%M} UTC",
                silence_id=one.id,
            )
    return None


def _inhibited(
    incident: Mapping[str, Any], app_id: int, ended_at: datetime | None, causes: Sequence[Cause]
) -> Hush | None:
    for one in causes:
        if one.app_id != app_id or incident["rule"] not in one.inhibits:
            continue
        outlived = ended_at is not None and one.opened_at <= ended_at and (one.resolved_at or ended_at) >= ended_at
        if one.resolved_at is None or outlived:
            return Hush(f"{one.rule} of {one.subject} inhibits it (incident {one.id})", cause_id=one.id)
    return None


def _flapping(incident: Mapping[str, Any], step: str, at: datetime) -> Hush | None:
    since = incident.get("flapping_since")
    if step in _FLAPPING and since and at > datetime.fromisoformat(since):
        return Hush(FLAPS)
    return None


@lru_cache(maxsize=1024)
def _filter(text: str) -> Callable[[Event], bool]:
    return predicate(parse_filter(text))
