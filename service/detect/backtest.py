"""Which incidents rules would have opened: the folds that run live, over batches of events, without a store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from parsers.event import Event, Severity
from service.detect.app_fold import Place, fold_each, marks_of
from service.detect.detector import Cleared, Fired
from service.detect.history import SETTLE, History
from service.detect.rule import Rule


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that came together, and the newest time at which one of their lines counts."""

    events: Sequence[Event]
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a rule was on at a key; `cleared_at` is None where it still is."""

    rule: str
    key: str
    severity: Severity
    fired_at: datetime
    cleared_at: datetime | None
    count: int


def backtest(rules: Sequence[Rule], batches: Iterable[Batch], *, until: datetime | None = None) -> list[Occurrence]:
    """What `rules` make of one app's `batches`, in the order in which it was told; `until`, timers run on in silence."""
    clock: datetime | None = None
    histories: dict[Place, History[Any]] = {}
    wakes: dict[Place, datetime] = {}
    told: dict[Place, list[Occurrence]] = {}
    for batch in (*batches, None):
        marks = marks_of(rules, batch.events, clock) if batch else {}
        newest = batch.newest_at if batch else until
        if newest is None:
            break
        clock = max(clock, newest) if clock else newest
        due = {place for place, wake_at in wakes.items() if wake_at + SETTLE <= clock} | set(marks)
        touched = {place: histories[place] for place in due if place in histories}
        for place, folded in fold_each(rules, touched, marks, clock=clock).items():
            for was, now in folded.amended:
                _amend(told.get(place, []), was, now)
            for finding in folded.news:
                _tell(told.setdefault(place, []), place, finding)
            if folded.alarm and told.get(place) and told[place][-1].cleared_at is None:
                first = min(told[place][-1].fired_at, folded.alarm.since)
                told[place][-1] = replace(told[place][-1], count=folded.alarm.count, fired_at=first)
            histories.pop(place, None)
            wakes.pop(place, None)
            if folded.history:
                histories[place] = folded.history
                if folded.wake_at:
                    wakes[place] = folded.wake_at
    return sorted((one for each in told.values() for one in each), key=lambda one: (one.fired_at, one.rule, one.key))


def _amend(told: list[Occurrence], was: Cleared, now: Cleared) -> None:
    for number, one in enumerate(told):
        if one.cleared_at == was.at:
            alarm = now.alarm
            severity = max(one.severity, alarm.severity)
            told[number] = replace(
                one, severity=severity, cleared_at=now.at, count=alarm.count, fired_at=min(one.fired_at, alarm.since)
            )


def _tell(told: list[Occurrence], place: Place, finding: Any) -> None:
    alarm = finding.alarm
    if not isinstance(finding, Fired):
        told[-1] = replace(told[-1], cleared_at=finding.at, count=alarm.count, fired_at=alarm.since)
    elif told and told[-1].cleared_at is None:
        told[-1] = replace(told[-1], severity=alarm.severity, count=alarm.count)
    else:
        told.append(Occurrence(place[0], place[1], alarm.severity, finding.at, None, alarm.count))
