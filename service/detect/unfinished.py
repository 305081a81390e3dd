"""Something begins and does not end within a time: a promotion that stays `deploying`, an app without code."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parsers.event import Severity
from service.detect.detector import Alarm, Cleared, Fired, Mark, Step

# Marks of one instant stand in the order of these words: what begins and ends within it has ended.
AT_ONCE, START, END = "at_once", "begin", "end"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What begins must have ended `within` that time. One mark of the sort AT_ONCE is enough for that severity."""

    within: timedelta
    severity: Severity
    at_once: Severity | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The marks of what has begun and not ended, oldest first (the first, and the newest few), and the alarm."""

    marks: tuple[Mark, ...] = ()
    alarm: Alarm | None = None


def step(rule: Unfinished, begun: Begun, mark: Mark) -> Step[Begun]:
    """`begun` after `mark`: its first start sets the timer, an end clears all."""
    if mark.sort == END:
        return Step(Begun(), (Cleared(mark.at, "it has ended", begun.alarm),) if begun.alarm else ())
    if begun.alarm:
        return Step(replace(begun, alarm=begun.alarm.seen(mark)))
    if mark.sort == AT_ONCE and rule.at_once is not None:
        alarm = Alarm.of((*begun.marks, mark), at=mark.at, severity=rule.at_once)
        return Step(Begun((), alarm), (Fired(mark.at, alarm),))
    marks = (*begun.marks[:1], *begun.marks[1:][-18:], mark)
    return Step(Begun(marks), wake_at=marks[0].at + rule.within)


def tick(rule: Unfinished, begun: Begun, now: datetime) -> Step[Begun]:
    """`Fired`: the time is over."""
    if begun.alarm or not begun.marks:
        return Step(begun)
    if begun.marks[0].at + rule.within > now:
        return Step(begun, wake_at=begun.marks[0].at + rule.within)
    alarm = Alarm.of(begun.marks, at=now, severity=rule.severity)
    return Step(Begun((), alarm), (Fired(now, alarm),))
