"""What a step of an incident comes to: what is told where, and why or why not. Pure; `fan_out.py` loads and writes.

A step meets the gate first, and then the route of each endpoint.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.notify import gate
from service.notify.gate import Hush, Keepers
from service.notify.notification import DIGEST, REMINDER, RESOLVED, TYPE_OF, Notification, incident_url, late
from service.notify.routes import decide
from service.store.decisions import Told
from service.store.endpoints import EndpointRow
from service.store.transitions import Transition

# Detection waits 10 s for lines that come late, and an incident's timers run on its app's clock: what is told a minute
# after it came about was held up by something, and says so.
_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an endpoint (None: any at all) is told, and why or why not; with what, where it is asked."""

    endpoint: EndpointRow | None
    tell: bool
    reason: str
    notification: Notification | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step comes to, in the words of `type`. `mark`: it is to be told once this is over; `unmark`: no longer."""

    type: str
    verdicts: Sequence[Verdict]
    mark: Hush | None = None
    unmark: bool = False


@dataclass(frozen=True, slots=True)
class Now:
    """What holds as steps are fanned out."""

    at: datetime
    receiving: Sequence[EndpointRow]
    keepers: Keepers
    public_url: str


def outcome(
    step: Transition,
    now: Now,
    *,
    ended_at: datetime | None,
    known: Mapping[int, Told],
    marked: bool,
    together: Collection[int] = (),
) -> Outcome | None:
    """What comes of `step`; None for one that is for the timeline alone.

    `known` are the endpoints that were told of the incident before, and not yet that it is over; `ended_at` is when the
    incident ended, by what is known now; `marked`, whether it was hushed before; `together`, the endpoints that are told of it
    in a digest.
    """
    type = TYPE_OF.get(step.type)
    if type is None:
        return None
    is_loud, is_end = step.type in gate.LOUD, step.type in gate.ENDS
    if hush := hush_of(step, now, ended_at=ended_at, told=bool(known), marked=marked):
        keeps = hush.silence_id is not None or hush.cause_id is not None
        mark = hush if is_loud and keeps else None
        return Outcome(type, (Verdict(None, False, hush.reason),), mark=mark, unmark=is_end)
    verdicts = tuple(
        _verdict(endpoint, step, now, known.get(endpoint.id), in_digest=endpoint.id in together)
        for endpoint in now.receiving
    )
    nobody = Verdict(None, False, "there is no webhook that could be told")
    return Outcome(type, verdicts or (nobody,), unmark=is_end or is_loud)


def hush_of(step: Transition, now: Now, *, ended_at: datetime | None, told: bool, marked: bool) -> Hush | None:
    """What the gate says of the step."""
    return gate.hush(
        step.incident,
        step.type,
        app_id=step.app_id,
        at=step.at,
        ended_at=ended_at,
        now=now.at,
        keepers=now.keepers,
        told=told,
        marked=marked,
    )


def wants(endpoint: EndpointRow, opening: Transition, now: Now) -> bool:
    """Whether the endpoint is told of an incident that opens, alone or in a digest, where nothing hushes it."""
    return _verdict(endpoint, opening, now, None, in_digest=True).tell


def _verdict(
    endpoint: EndpointRow, step: Transition, now: Now, told: Told | None, *, in_digest: bool = False
) -> Verdict:
    notification = _notification(step, now, told)
    if in_digest and notification.type == TYPE_OF["opened"] and endpoint.types is not None and DIGEST in endpoint.types:
        notification = replace(notification, type=DIGEST)
    decision = decide(endpoint, notification, told=told is not None)
    return Verdict(endpoint, decision.tell, decision.reason, notification)


def _notification(step: Transition, now: Now, told: Told | None) -> Notification:
    type = TYPE_OF[step.type]
    if told is None and type == REMINDER:
        type = TYPE_OF["opened"]  # of what it was never told nobody can be reminded
    incident = dict(step.incident)
    if type == RESOLVED and told is not None and not told.heard:
        # All that was told of it there died on the way: this one tells the opening too.
        incident = late(incident, since=told.since, now=now.at)
    elif now.at - step.at > _LATE:
        incident = late(incident, since=step.at, now=now.at)
    return Notification(type, step.at, incident, incident_url(now.public_url, incident))
