"""Events that match reach a number within a window: a count, a sum, or so many distinct values or minutes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parsers.event import Severity
from service.detect.detector import Alarm, Cleared, Finding, Fired, Level, Mark, Step

MATCH, RECOVER, AT_ONCE = "match", "recover", "at_once"

# A window keeps this many marks at most where the measure needs all of them (a sum, distinct values).
WINDOW_MARKS = 1000


@dataclass(frozen=True, slots=True)
class Threshold:
    """`levels` rise in count and severity; `measure` is count, sum, minutes or values. One mark of the sort AT_ONCE is
    enough for that severity.

    It clears when fewer than `quiet_count` marks came within `quiet`, when `recoveries` marks of recovery came after the
    last match, or, where both are given, when both hold.
    """

    levels: tuple[Level, ...]
    within: timedelta
    measure: str = "count"
    quiet: timedelta | None = None
    quiet_count: int = 1
    recoveries: int | None = None
    at_once: Severity | None = None


@dataclass(frozen=True, slots=True)
class Recent:
    """The marks that may still count, oldest first; the alarm, and how many recoveries came since the last match."""

    marks: tuple[Mark, ...] = ()
    alarm: Alarm | None = None
    recovered: int = 0


def step(rule: Threshold, recent: Recent, mark: Mark) -> Step[Recent]:
    """`recent` with `mark` in it; `Fired` while a level is reached within `rule.within`, `Cleared` where one recovery is
    all it takes."""
    if mark.sort == RECOVER:
        return _recover(rule, recent, mark)
    marks = _keep(rule, (*recent.marks, mark), mark.at)
    window = tuple(one for one in marks if one.at > mark.at - rule.within)
    reached = [level.severity for level in rule.levels if _measure(rule, window) >= level.count]
    if mark.sort == AT_ONCE and rule.at_once is not None:
        reached.append(rule.at_once)
    severity = max(reached, default=None)
    alarm = recent.alarm.seen(mark) if recent.alarm else None
    found: tuple[Finding, ...] = ()
    if severity is not None and (alarm is None or alarm.severity < severity):
        alarm = alarm.raised(severity) if alarm else Alarm.of(window, at=mark.at, severity=severity)
        found = (Fired(mark.at, alarm),)
    return _step(rule, Recent(marks, alarm), found)


def tick(rule: Threshold, recent: Recent, now: datetime) -> Step[Recent]:
    """`Cleared` if it has been quiet until `now` and the recoveries asked for have come; without an alarm, marks age away."""
    if recent.alarm is None:
        return Step(Recent())
    if rule.recoveries is not None and recent.recovered < rule.recoveries:
        return Step(recent)
    return Step(Recent(), (Cleared(now, _why(rule), recent.alarm),))


def _recover(rule: Threshold, recent: Recent, mark: Mark) -> Step[Recent]:
    alarm = recent.alarm
    if alarm is None:
        return _step(rule, recent)
    recent = replace(recent, recovered=recent.recovered + 1)
    if rule.quiet is None and rule.recoveries == 1:
        return Step(Recent(), (Cleared(mark.at, _why(rule), alarm),))
    if recent.recovered < (rule.recoveries or 0):
        return _step(rule, recent)
    # It is over if no match came meanwhile: a timer says so, for one may be on its way.
    return Step(recent, (), max(mark.at, _quiet_at(rule, recent) or mark.at))


def _step(rule: Threshold, recent: Recent, found: tuple[Finding, ...] = ()) -> Step[Recent]:
    if recent.alarm:
        return Step(recent, found, _quiet_at(rule, recent))
    return Step(recent, found, recent.marks[-1].at + rule.within if recent.marks else None)


def _quiet_at(rule: Threshold, recent: Recent) -> datetime | None:
    """When fewer than `quiet_count` marks lie within `quiet`, if no more come."""
    if rule.quiet is None:
        return None
    at = recent.marks[-rule.quiet_count].at if len(recent.marks) >= rule.quiet_count else recent.marks[-1].at
    return at + rule.quiet


def _keep(rule: Threshold, marks: tuple[Mark, ...], now: datetime) -> tuple[Mark, ...]:
    """The marks that can still matter at `now` or later."""
    since = now - max(rule.within, rule.quiet or rule.within)
    marks = tuple(mark for mark in marks if mark.at > since)
    if rule.measure == "count":  # the newest are all that a count can need
        return marks[-max(int(rule.levels[-1].count), rule.quiet_count) :]
    return marks[-WINDOW_MARKS:]


def _measure(rule: Threshold, marks: tuple[Mark, ...]) -> float:
    match rule.measure:
        case "sum":
            return sum(mark.number for mark in marks)
        case "minutes":
            return len({mark.at.replace(second=0, microsecond=0) for mark in marks})
        case "values":
            return len({mark.value for mark in marks})
    return len(marks)


def _why(rule: Threshold) -> str:
    reasons = []
    if rule.quiet is not None:
        fewer = "none" if rule.quiet_count == 1 else f"fewer than {rule.quiet_count}"
        reasons.append(f"{fewer} came for {in_words(rule.quiet)}")
    if rule.recoveries is not None:
        reasons.append("it works again" if rule.recoveries == 1 else f"it worked {rule.recoveries} times in a row")
    return " and ".join(reasons)


def in_words(span: timedelta) -> str:
    """`timedelta(minutes=15)` → `"15 minutes"`: the largest unit that divides it."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size} {unit}{'s' if seconds > size else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"
