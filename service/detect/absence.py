"""Nothing that matches comes any more, though it did before: a drain that falls silent.

"Before" is what makes it worth a word: an app that says something once an hour is not silent between two words. So it is
asked that matches came in a `regular` share of the minutes before the last one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from parsers.event import Severity
from service.detect.detector import Alarm, Cleared, Fired, Mark, Step

# Marks of one instant stand in the order of these words.
PAUSE, RESUME, MATCH = "a pause", "a resumption", "match"
_MINUTE = timedelta(minutes=1)
# What drainwatch makes of a minute bears its end: one that comes when the time is just over has come in time.
_JUST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Absence:
    """Nothing `within` that time, though it came in a share `regular` of the minutes of the `before` (0: once is enough).

    Between a mark PAUSE and a mark RESUME nothing is expected.
    """

    within: timedelta
    severity: Severity
    regular: float = 0.0
    before: timedelta | None = None

    @property
    def needed(self) -> int:
        """In how many minutes it must have come."""
        return max(1, int(self.regular * ((self.before or self.within) / _MINUTE)))


@dataclass(frozen=True, slots=True)
class Heard:
    """When matches came lately, oldest first, and the last of them; whether none is expected; the alarm."""

    times: tuple[datetime, ...] = ()
    last: Mark | None = None
    paused: bool = False
    alarm: Alarm | None = None


def step(rule: Absence, heard: Heard, mark: Mark) -> Step[Heard]:
    """`heard` after `mark`: each match sets the timer anew, and ends the alarm."""
    if mark.sort == MATCH:
        found = (Cleared(mark.at, "it is heard again", heard.alarm),) if heard.alarm else ()
        if heard.paused:
            return Step(Heard(paused=True), found)
        since = mark.at - max(rule.before or rule.within, _MINUTE)
        times = (*(one for one in (() if heard.alarm else heard.times) if one > since), mark.at)
        return _step(rule, Heard(_by_minute(times), mark), found)
    if mark.sort == PAUSE:
        found = (Cleared(mark.at, "nothing is expected of it any more", heard.alarm),) if heard.alarm else ()
        return Step(Heard(paused=True), found)
    return _step(rule, replace(heard, paused=False))


def tick(rule: Absence, heard: Heard, now: datetime) -> Step[Heard]:
    """`Fired`: the time is over."""
    due = _step(rule, heard).wake_at
    if heard.last is None or due is None or due > now:
        return Step(heard, wake_at=due)
    # What is told is when it became true, not the moment after it.
    alarm = Alarm.of((heard.last,), at=now - _JUST, severity=rule.severity)
    return Step(replace(heard, alarm=alarm), (Fired(alarm.since, alarm),))


def _step(rule: Absence, heard: Heard, found: tuple[Cleared, ...] = ()) -> Step[Heard]:
    expected = heard.last and not heard.paused and not heard.alarm and len(heard.times) >= rule.needed
    return Step(heard, found, heard.last.at + rule.within + _JUST if expected and heard.last else None)


def _by_minute(times: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """One of each minute, which are all that count: the newest."""
    kept = [one for one, after in pairwise(times) if _minute(one) != _minute(after)]
    return (*kept, times[-1])


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
