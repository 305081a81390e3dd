"""Events that match reach a number within a window: a count, a sum, a share, or so many distinct values or minutes."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parsers.event import Severity
from service.detect import window
from service.detect.detector import Alarm, Cleared, Finding, Fired, Level, Mark, Step
from service.detect.gaps import NO_GAPS, Gaps
from service.detect.window import Measure

# Marks of one instant stand in the order of these words.
AFTER, AT_ONCE, MATCH, ON_PURPOSE, PURPOSE_OVER, RECOVER = (
    "after",
    "at_once",
    "match",
    "on_purpose",
    "purpose_over",
    "recover",
)

# What causes a recovery may bear a time this much later than it: their clocks differ.
CLOCKS_DIFFER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Threshold:
    """`levels` rise in count and severity; `measure` says what is counted. One mark of the sort AT_ONCE is enough for that
    severity; after one of the sort ON_PURPOSE, until one of PURPOSE_OVER, it is no worse than `on_purpose`.

    It clears when fewer than `quiet_count` marks came within `quiet` of heard time (a share: when it is below `quiet_count`),
    when `recoveries` marks of recovery came after the last match, or, where both are given, when both hold. A recovery counts
    only `after` a mark of the sort AFTER, where that is asked for. Where both are given beside `at_once`, quiet ends what
    matches began, and recoveries what AT_ONCE marks did, value by value.
    """

    levels: tuple[Level, ...]
    within: timedelta
    measure: Measure = field(default_factory=Measure)
    quiet: timedelta | None = None
    quiet_count: float = 1
    recoveries: int | None = None
    after: bool = False
    at_once: Severity | None = None
    on_purpose: Severity | None = None
    gaps: Gaps = NO_GAPS

    @property
    def ends_apart(self) -> bool:
        """Whether quiet and recoveries end different things."""
        return self.at_once is not None and self.quiet is not None and self.recoveries is not None


@dataclass(frozen=True, slots=True)
class Recent:
    """The marks that may still count, oldest first; the alarm, and how many recoveries came since the last match.

    `prepared_at` is when the last AFTER mark came since then, `early_at` a recovery that lacks one; `excused`: it is wanted;
    `called` are the values of AT_ONCE marks that no recovery has answered.
    """

    marks: tuple[Mark, ...] = ()
    alarm: Alarm | None = None
    recovered: int = 0
    prepared_at: datetime | None = None
    early_at: datetime | None = None
    excused: bool = False
    called: tuple[str, ...] = ()


def step(rule: Threshold, recent: Recent, mark: Mark) -> Step[Recent]:
    """`recent` with `mark` in it; `Fired` while a level is reached within `rule.within`, `Cleared` where one mark of
    recovery is all it takes, so that no match before it could undo it."""
    match mark.sort:
        case "recover" | "after":
            return _recover(rule, recent, mark)
        case "on_purpose":
            return _on_purpose(rule, recent, mark)
        case "purpose_over":
            return _step(rule, replace(recent, excused=False))
    at_once = mark.sort == AT_ONCE and rule.at_once is not None
    if at_once and rule.ends_apart:
        called = tuple(sorted({*recent.called, mark.value}))
        return _found(rule, replace(recent, called=called), mark, (mark,), [rule.at_once])
    marks = window.keep(rule.measure, (*recent.marks, mark), since=_kept_since(rule, mark.at), most=_most(rule))
    # Nothing worse can be reached.
    if recent.alarm and recent.alarm.severity >= rule.levels[-1].severity and not at_once:
        return _found(rule, recent, mark, marks, [], marks)
    counted = window.after(marks, mark.at - rule.within)
    reached: list[Severity | None] = [
        level.severity for level in rule.levels if window.reaches(rule.measure, counted, level.count)
    ]
    if at_once:
        reached.append(rule.at_once)
    return _found(rule, recent, mark, counted, reached, marks)


def tick(rule: Threshold, recent: Recent, now: datetime) -> Step[Recent]:
    """`Cleared` if it has been quiet until `now` and the recoveries asked for have come; without an alarm, marks age away."""
    if recent.alarm is None:
        aged = not recent.marks or recent.marks[-1].at + rule.within <= now
        return Step(Recent()) if aged else _step(rule, recent)
    if rule.quiet is not None and ((quiet_at := _quiet_at(rule, recent)) is None or quiet_at > now):
        return Step(recent, wake_at=quiet_at)
    if not _is_answered(rule, recent):
        return Step(recent)
    return Step(Recent(), (Cleared(now, _why(rule), recent.alarm),))


def _found(
    rule: Threshold,
    recent: Recent,
    mark: Mark,
    counted: tuple[Mark, ...],
    reached: list[Severity | None],
    marks: tuple[Mark, ...] | None = None,
) -> Step[Recent]:
    """`recent`, with an alarm if a level is `reached` that is worse than what is known; after a match, `marks` are those that
    count from now on."""
    counts = mark.number > 0 if rule.measure.of else True  # a minute without errors is no evidence of errors
    alarm = recent.alarm.seen(mark) if recent.alarm and counts else recent.alarm
    severity = max((one for one in reached if one is not None), default=None)
    if severity is not None and recent.excused and rule.on_purpose is not None:
        severity = min(severity, rule.on_purpose)
    found: tuple[Finding, ...] = ()
    if severity is not None and (alarm is None or alarm.severity < severity):
        alarm = alarm.raised(severity) if alarm else Alarm.of(counted, at=mark.at, severity=severity)
        found = (Fired(mark.at, alarm),)
    if marks is None:
        return _step(rule, replace(recent, alarm=alarm), found)
    return _step(rule, Recent(marks, alarm, 0, None, None, recent.excused, recent.called), found)


def _on_purpose(rule: Threshold, recent: Recent, mark: Mark) -> Step[Recent]:
    """Somebody wants it so; what was there before that is no less bad."""
    return _found(rule, replace(recent, excused=True), mark, (mark,), [rule.on_purpose])


def _recover(rule: Threshold, recent: Recent, mark: Mark) -> Step[Recent]:
    alarm = recent.alarm
    if alarm is None:
        return _step(rule, recent)
    if mark.sort == AFTER:
        if recent.early_at is None or mark.at - recent.early_at > CLOCKS_DIFFER:
            return _step(rule, replace(recent, prepared_at=mark.at))
    elif rule.after and recent.prepared_at is None:
        return _step(rule, replace(recent, early_at=mark.at))
    if rule.ends_apart:
        recent = replace(recent, called=tuple(one for one in recent.called if one != mark.value))
    recent = replace(recent, recovered=recent.recovered + 1, prepared_at=None, early_at=None)
    if not _is_answered(rule, recent):
        return _step(rule, recent)
    if rule.quiet is None and rule.recoveries == 1 and not rule.after:
        return Step(Recent(), (Cleared(mark.at, _why(rule), alarm),))
    # It is over if no match came meanwhile, nor between the two halves: a timer says so, for one may be on its way.
    quiet_at = _quiet_at(rule, recent) if rule.quiet is not None else mark.at
    return Step(recent, (), quiet_at and max(mark.at, quiet_at))


def _is_answered(rule: Threshold, recent: Recent) -> bool:
    """Whether the recoveries that are asked for have come."""
    if rule.ends_apart:
        return not recent.called
    return rule.recoveries is None or recent.recovered >= rule.recoveries


def _step(rule: Threshold, recent: Recent, found: tuple[Finding, ...] = ()) -> Step[Recent]:
    if recent.alarm:
        return Step(recent, found, _quiet_at(rule, recent))
    return Step(recent, found, recent.marks[-1].at + rule.within if recent.marks else None)


def _quiet_at(rule: Threshold, recent: Recent) -> datetime | None:
    """When it has been quiet for long enough, if no more come; None where that is not in sight."""
    if rule.quiet is None:
        return None
    if not recent.marks:
        return recent.alarm.last_at if recent.alarm else None
    if rule.measure.of:
        return _share_falls_at(rule, recent.marks, rule.quiet)
    fewer = int(rule.quiet_count)
    return rule.gaps.after(recent.marks[-fewer if len(recent.marks) >= fewer else -1].at, rule.quiet)


def _share_falls_at(rule: Threshold, marks: tuple[Mark, ...], quiet: timedelta) -> datetime | None:
    """When the share within `quiet` is below what is asked for, as its minutes go; never without a minute to judge by."""
    newest = marks[-1].at
    marks = window.after(marks, newest - quiet)
    for first in range(len(marks)):
        if window.share(marks[first:]) < rule.quiet_count:
            at = rule.gaps.after(marks[first - 1].at, quiet) if first else newest
            return at and max(at, newest)
    return None


def _kept_since(rule: Threshold, now: datetime) -> datetime:
    return now - max(rule.within, rule.quiet or rule.within)


def _most(rule: Threshold) -> int:
    return max(int(rule.levels[-1].count), int(rule.quiet_count), 1)


def _why(rule: Threshold) -> str:
    reasons = []
    if rule.quiet is not None:
        if rule.measure.of:
            fewer = f"the share was below {rule.quiet_count:.3g} for"
        elif rule.quiet_count <= 1:
            fewer = "none came for"
        else:
            fewer = f"fewer than {int(rule.quiet_count)} came for"
        reasons.append(f"{fewer} {in_words(rule.quiet)}")
    if rule.recoveries is not None and not rule.ends_apart:
        reasons.append("it works again" if rule.recoveries == 1 else f"it worked {rule.recoveries} times in a row")
    return " and ".join(reasons)


def in_words(span: timedelta) -> str:
    """`timedelta(minutes=15)` → `"15 minutes"`: the largest unit that divides it."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size} {unit}{'s' if seconds > size else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"
