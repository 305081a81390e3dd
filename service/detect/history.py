"""Makes order out of lines that come late, unordered and in any batches, so that detectors need not think of it.

A rule's history at one key is a state as of some time ago (`base`), the marks since then in the order of time, and the
findings already told. Each batch puts its marks where they belong and folds from the base again: what comes out depends on
the set of marks alone, not on how they came. Findings made by a mark are told at once, so an end is a mark's only where no
line on its way could undo it. Findings made by a timer, and what follows them, are told when the app's clock is SETTLE past
the timer, since a line on its way may still put it off.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from typing import Generic, NamedTuple, Protocol, TypeVar

from service.detect.detector import Alarm, Cleared, Finding, Fired, Mark, Step

# A timer fires when the app's clock is this far past it (DESIGN section 5: lines on their way have come).
SETTLE = timedelta(seconds=10)
# A line this far behind its app's clock still counts where it belongs; an older one is evidence only.
LATENESS = timedelta(minutes=10)
# So long after its last word an app counts as heard; what time ends after that waits for the next word.
HEARD_FOR = timedelta(minutes=3)
# In a storm the marks of ten minutes would make each fold and each stored state large: the oldest go into the base early.
# 500 marks are 60 kB of state and 2 ms of folding.
MOST_MARKS = 500


class State(Protocol):
    """What every detector's state has."""

    @property
    def alarm(self) -> Alarm | None: ...


S = TypeVar("S", bound=State)
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Detector(Generic[P, S]):
    """One sort of pattern: the state that nothing has happened to yet, and the two functions of the fold. `opens_in_time`: what
    its timers find may be the begin of something, so that they count before anything is wrong."""

    empty: S
    step: Callable[[P, S, Mark], Step[S]]
    tick: Callable[[P, S, datetime], Step[S]]
    opens_in_time: bool = False


@dataclass(frozen=True, slots=True)
class History(Generic[S]):
    """`base` is the state as of `base_at`, before `marks`; `told` are the findings since then that are known outside."""

    base: S
    base_at: datetime | None = None
    base_wake_at: datetime | None = None
    marks: tuple[Mark, ...] = ()
    told: tuple[Fired | Cleared, ...] = ()


@dataclass(frozen=True, slots=True)
class Folded(Generic[S]):
    """The next history (None: nothing of it needs keeping); `news`, the findings that are to be told now; what was told before,
    as it was and as late lines have made it (ends and beginnings that came sooner or later, or were less bad); the alarm
    that is on by what is told; the state at the end of it all. On the app's clock and without SETTLE: `wake_at` is when a
    timer may find something, `forget_at` when there is only less to remember, or an end that must wait for the app's next word:
    what can wait until the app says more."""

    history: History[S] | None
    news: tuple[Finding, ...]
    amended: tuple[tuple[Finding, Finding], ...]
    alarm: Alarm | None
    wake_at: datetime | None
    forget_at: datetime | None
    state: S


# Findings, each with whether a timer made it.
_Findings = tuple[tuple[Finding, bool], ...]
_ORDER = attrgetter(*(one.name for one in fields(Mark)))


class _Point(NamedTuple, Generic[S]):
    """A place on the way of a fold: the time and state there, how many marks and which findings lie before it."""

    at: datetime | None
    step: Step[S]
    marks: int = 0
    findings: _Findings = ()


def fold(
    detector: Detector[P, S],
    rule: P,
    history: History[S],
    marks: Iterable[Mark],
    *,
    clock: datetime,
    heard_at: datetime | None = None,
) -> Folded[S]:
    """`history` with `marks` (in any order) in it, each instead of an older one of the same event, as of the app's `clock`.

    Up to HEARD_FOR after `heard_at`, the app's last word, time alone ends an alarm; None: nothing is expected of it, and time
    always does.
    """
    heard_to = heard_at + HEARD_FOR if heard_at else None
    new = list(marks)
    again = {mark.event_id for mark in new}  # an event that was amended takes its old place
    # By a key: to let 600 marks compare themselves takes a millisecond.
    everything = tuple(sorted((*(mark for mark in history.marks if mark.event_id not in again), *new), key=_ORDER))
    points = list(_walk(detector, rule, history, everything, clock, heard_to))
    end = points[-1]
    settled, held = _settled(end.findings, clock)
    told_points = [point for point in points if len(point.findings) <= len(settled)]
    base = _new_base(told_points, everything, clock)
    next_history = History(
        base.step.state, base.at, base.step.wake_at, everything[base.marks :], settled[len(base.findings) :]
    )
    finds = detector.opens_in_time or end.step.state.alarm is not None
    next_at = end.step.wake_at
    waits = next_at is not None and end.step.state.alarm is not None and heard_to is not None and next_at > heard_to
    wakes = [at for at in (held, next_at if finds and not waits else None) if at is not None]
    # The first word that is enough must have it asked again, and that is asked for with SETTLE behind it.
    forgets = [] if next_at is None or (finds and not waits) else [next_at - HEARD_FOR - SETTLE if waits else next_at]
    if end.at and end is not base:  # no late line can change it any more
        forgets.append(end.at + LATENESS - SETTLE)
    return Folded(
        None if next_history == History(detector.empty, base.at) else next_history,
        _news(history, settled, end.step.state.alarm, clock),
        _amended(history, settled),
        told_points[-1].step.state.alarm,
        min(wakes, default=None),
        min(forgets, default=None),
        end.step.state,
    )


def _walk(
    detector: Detector[P, S],
    rule: P,
    history: History[S],
    marks: tuple[Mark, ...],
    clock: datetime,
    heard_to: datetime | None,
) -> Iterator[_Point[S]]:
    """Each place from the base to the last mark and timer, in the order of time; the base itself is the first. Where an alarm
    is on, its timer is asked for anew: since then more may be known of when the app was heard; and behind the last mark it
    runs up to `heard_to` only."""
    wake_at = history.base_at if history.base.alarm else history.base_wake_at
    point = _Point(history.base_at, Step(history.base, (), wake_at))
    yield point
    for mark in (*marks, None):
        until = mark.at if mark else clock - SETTLE
        while (due := point.step.wake_at) is not None and due <= until:
            if mark is None and heard_to is not None and due > heard_to and point.step.state.alarm is not None:
                break
            now = max(due, point.at or due)
            step = detector.tick(rule, point.step.state, now)
            point = _Point(now, step, point.marks, _with(point.findings, step.findings, by_timer=True))
            yield point
        if mark:
            step = detector.step(rule, point.step.state, mark)
            point = _Point(mark.at, step, point.marks + 1, _with(point.findings, step.findings, by_timer=False))
            yield point


def _with(before: _Findings, found: tuple[Finding, ...], *, by_timer: bool) -> _Findings:
    return before + tuple((finding, by_timer) for finding in found) if found else before


def _settled(findings: _Findings, clock: datetime) -> tuple[tuple[Finding, ...], datetime | None]:
    """The findings that may be told by `clock`, and the time of the first one that may not yet."""
    for number, (finding, by_timer) in enumerate(findings):
        if by_timer and finding.at + SETTLE > clock:
            return tuple(one for one, _ in findings[:number]), finding.at
    return tuple(one for one, _ in findings), None


def _new_base(points: list[_Point[S]], marks: tuple[Mark, ...], clock: datetime) -> _Point[S]:
    """The last place that no late line can come before, or that a storm leaves no room to wait for."""
    cut = clock - LATENESS
    if len(marks) > MOST_MARKS:
        cut = max(cut, marks[-MOST_MARKS].at)
    return next((point for point in reversed(points) if point.at is not None and point.at <= cut), points[0])


def _news(
    history: History[S], settled: tuple[Finding, ...], alarm: Alarm | None, clock: datetime
) -> tuple[Finding, ...]:
    """What of `settled` has not been told. Where a late mark has changed what was told, the finding that mends it."""
    told, now = _turns(history.base, history.told), _turns(history.base, settled)
    if len(now) >= len(told):
        return (*_worse(history.base, now[len(told) - 1], told[-1]), *chain.from_iterable(now[len(told) :]))
    if (len(told) - len(now)) % 2 == 0:  # some of it was over and has come back in between, which nobody need know
        return _worse(history.base, now[-1], told[-1])
    last = history.told[-1]
    if isinstance(last, Fired):
        return (Cleared(clock, "a line that came late shows that it was not so", last.alarm),)
    return (Fired(alarm.last_at, alarm),) if alarm and alarm.last_at > last.at else ()


def _amended(history: History[S], settled: tuple[Finding, ...]) -> tuple[tuple[Finding, Finding], ...]:
    """What was told and what has become of it: ends that are others now, and beginnings at another time, or less bad."""
    told, now = _turns(history.base, history.told), _turns(history.base, settled)
    turns = zip(told, now, strict=False) if len(now) >= len(told) else [(told[-1], now[-1])]
    pairs = [(was[-1], one[-1]) for was, one in turns if was and one]
    alike = [(was, one) for was, one in pairs if type(was) is type(one) and was != one]
    return tuple(
        (was, one)
        for was, one in alike
        if isinstance(was, Cleared) or was.alarm.since != one.alarm.since or was.alarm.severity > one.alarm.severity
    )


def _turns(base: State, findings: tuple[Finding, ...]) -> list[tuple[Finding, ...]]:
    """`findings` by turns: those of each time that it was on, and the end of each; `base` is in the first turn."""
    turns: list[tuple[Finding, ...]] = [()]
    is_on = base.alarm is not None
    for finding in findings:
        if isinstance(finding, Fired) != is_on:
            turns.append(())
            is_on = not is_on
        turns[-1] = (*turns[-1], finding)
    return turns


def _worse(base: State, turn: tuple[Finding, ...], told: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What of `turn` is worse than what was `told` of it."""
    known = told[-1].alarm if told else base.alarm
    return tuple(one for one in turn if isinstance(one, Fired) and known and one.alarm.severity > known.severity)
