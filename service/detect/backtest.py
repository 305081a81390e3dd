"""Which incidents rules would have opened: the folds that run live, over batches of events, without a store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from parsers.event import Event, Severity
from parsers.line import Origin
from parsers.traffic import Minute
from service.detect.app_fold import HEARING, Place, fold_each, hear, marks_of
from service.detect.detector import Cleared, Finding, Fired
from service.detect.gaps import Gap
from service.detect.history import SETTLE, Folded, History
from service.detect.minute_events import Minutes
from service.detect.rule import Rule


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that came together, what they add to which minutes, the newest time at which one of their lines counts, and when
    the last of them came (None: as soon as that)."""

    events: Sequence[Event]
    newest_at: datetime
    traffic: Mapping[datetime, Minute] = field(default_factory=dict)
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a rule was on at a key; `cleared_at` is None where it still is. `reason` is why it ended."""

    rule: str
    key: str
    severity: Severity
    fired_at: datetime
    cleared_at: datetime | None
    count: int
    reason: str | None = field(default=None, compare=False)
    gaps: tuple[Gap, ...] = ()


def backtest(
    rules: Sequence[Rule],
    batches: Iterable[Batch],
    *,
    until: datetime | None = None,
    origin: Origin = Origin("", ""),  # noqa: B008 - a value
) -> list[Occurrence]:
    """What `rules` make of one app's `batches`, in the order in which it was told; `until`, timers run on in silence."""
    folds = Backtest(rules, origin)
    for batch in batches:
        folds.add(batch)
    return folds.end(until)


class Backtest:
    """One app's rules over what comes of it, batch by batch."""

    def __init__(self, rules: Sequence[Rule], origin: Origin) -> None:
        self._rules = rules
        self._minutes = Minutes(origin)
        self._clock: datetime | None = None
        self._heard_at: datetime | None = None
        self._histories: dict[Place, History[Any]] = {}
        self._wakes: dict[Place, datetime] = {}
        self._told: dict[Place, list[Occurrence]] = {}

    def add(self, batch: Batch) -> None:
        """Folds a batch."""
        heard_at = batch.heard_at or batch.newest_at
        self._heard_at = max(self._heard_at or heard_at, heard_at)
        self._fold(batch.events, batch.traffic, batch.newest_at)

    def end(self, until: datetime | None = None) -> list[Occurrence]:
        """Lets timers run on `until` then, in silence; gives all that was told, by when it began."""
        if until is not None:
            self._fold((), {}, until)
        found = [one for each in self._told.values() for one in each]
        return sorted(found, key=lambda one: (one.fired_at, one.rule, one.key))

    def _fold(self, events: Sequence[Event], traffic: Mapping[datetime, Minute], newest_at: datetime) -> None:
        before = self._clock
        clock = self._clock = max(before, newest_at) if before else newest_at
        events = [*events, *self._minutes.add(traffic, clock=clock)]
        marks = marks_of(self._rules, events, before)
        heard = hear(self._histories.get(HEARING), marks.get(HEARING, ()), before=before, clock=clock)
        self._keep(HEARING, heard.folded)
        due = {place for place, wake_at in self._wakes.items() if wake_at + SETTLE <= clock} | set(marks)
        if heard.is_news:
            due |= set(self._histories)
        touched = {place: self._histories[place] for place in due if place in self._histories}
        heard_at = None if heard.is_paused else self._heard_at
        for place, folded in fold_each(
            self._rules, touched, marks, clock=clock, heard_at=heard_at, gaps=heard.gaps
        ).items():
            told = self._told.setdefault(place, [])
            for was, now in folded.amended:
                _amend(told, was, now)
            for finding in folded.news or _goes_on(told, folded):
                _tell(told, place, finding)
            if folded.alarm and told and told[-1].cleared_at is None:
                first = min(told[-1].fired_at, folded.alarm.since)
                told[-1] = replace(told[-1], count=folded.alarm.count, fired_at=first)
            self._keep(place, folded)
            if told and (folded.alarm or folded.news):
                gaps = heard.gaps.within(told[-1].fired_at, told[-1].cleared_at)
                told[-1] = replace(told[-1], gaps=gaps)

    def _keep(self, place: Place, folded: Folded[Any]) -> None:
        self._histories.pop(place, None)
        self._wakes.pop(place, None)
        if folded.history:
            self._histories[place] = folded.history
            if wakes := [at for at in (folded.wake_at, folded.forget_at) if at]:
                self._wakes[place] = min(wakes)


def _goes_on(told: list[Occurrence], folded: Folded[Any]) -> tuple[Finding, ...]:
    """A late line has undone the end that was told, and now there is something newer than that: live it is reopened then
    (`incidents/findings.py`)."""
    ended = told[-1].cleared_at if told else None
    alarm = folded.alarm
    return (Fired(alarm.last_at, alarm),) if ended and alarm and alarm.last_at > ended else ()


def _amend(told: list[Occurrence], was: Finding, now: Finding) -> None:
    for number, one in enumerate(told):
        if isinstance(was, Fired):
            if one.fired_at == was.alarm.since:
                told[number] = replace(one, fired_at=now.alarm.since)
            if one.cleared_at is None and now.alarm.severity < was.alarm.severity:
                told[number] = replace(told[number], severity=now.alarm.severity)
        elif one.cleared_at == was.at:
            alarm = now.alarm
            severity = max(one.severity, alarm.severity)
            told[number] = replace(
                one, severity=severity, cleared_at=now.at, count=alarm.count, fired_at=min(one.fired_at, alarm.since)
            )


def _tell(told: list[Occurrence], place: Place, finding: Finding) -> None:
    alarm = finding.alarm
    if isinstance(finding, Cleared):
        told[-1] = replace(
            told[-1], cleared_at=finding.at, count=alarm.count, fired_at=alarm.since, reason=finding.reason
        )
    elif told and told[-1].cleared_at is None:
        told[-1] = replace(told[-1], severity=alarm.severity, count=alarm.count)
    else:
        told.append(Occurrence(place[0], place[1], alarm.severity, finding.at, None, alarm.count))
