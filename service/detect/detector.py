"""What every detector speaks in: marks go in, a state and findings come out.

A detector is two pure functions of a rule's parameters: `step(rule, state, mark)` takes the next mark in the order of time,
`tick(rule, state, now)` runs the timer that the state asked for. Both may rely on that order: `history.py` makes it out of
lines that come late and unordered.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from parsers.event import Severity

# Newest events kept as evidence, besides the first (DESIGN: every incident carries).
EVIDENCE = 20

S = TypeVar("S")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """What a rule needs to know of one event: when it counts, what it is to the rule (`sort`), and one value.

    Marks sort by time; those of one instant by sort and value, and only then by the event's id, so that the order does not
    depend on how lines were split into frames.
    """

    at: datetime
    sort: str
    value: str
    event_id: UUID
    number: float = 0.0
    of: float = 0.0  # what `number` is a share of


@dataclass(frozen=True, slots=True)
class Alarm:
    """A pattern that is there now: since when, how bad, and which events show it."""

    since: datetime
    severity: Severity
    count: int
    first_at: datetime
    last_at: datetime
    first_event: UUID
    events: tuple[UUID, ...]  # the newest EVIDENCE, oldest first

    def seen(self, mark: Mark) -> "Alarm":
        """This alarm with one more event of it, which is its newest."""
        return Alarm(
            self.since,
            self.severity,
            self.count + 1,
            self.first_at,
            mark.at,
            self.first_event,
            (*self.events, mark.event_id)[-EVIDENCE:],
        )

    def raised(self, severity: Severity) -> "Alarm":
        """This alarm at another severity."""
        return Alarm(self.since, severity, self.count, self.first_at, self.last_at, self.first_event, self.events)

    @staticmethod
    def of(marks: tuple[Mark, ...], *, at: datetime, severity: Severity) -> "Alarm":
        """The alarm that `marks`, in order and at least one, have set off at `at`."""
        ids = tuple(mark.event_id for mark in marks)
        return Alarm(at, severity, len(marks), marks[0].at, marks[-1].at, ids[0], ids[-EVIDENCE:])


@dataclass(frozen=True, slots=True)
class Fired:
    """The pattern is there since `at`, as bad as its alarm says; found again where it gets worse."""

    at: datetime
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Cleared:
    """The pattern has ended, at `at`; `reason` is half a sentence ("none came for 15 minutes"), `alarm` what there was."""

    at: datetime
    reason: str
    alarm: Alarm


Finding = Fired | Cleared


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """The next state, what was found, and when the state wants its `tick` (None: never)."""

    state: S
    findings: tuple[Finding, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """How many (or how much) make the pattern this severe."""

    count: float
    severity: Severity = field(default=Severity.ERROR)
