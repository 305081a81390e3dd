"""A dyno keeps crashing: it never stays up long enough between its crashes, however long Heroku waits between the tries.

The key is a process type (`web`); each of its dynos has its own count. Heroku restarts a crashed dyno at once, then after a
cool-off of 20 to 320 minutes (Heroku: Dyno crash restart policy), so no window of time would do: what ends a series is
`stable` time up. R10 and the `crashed` that follows it are one crash.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parsers.event import Severity
from service.detect.detector import Alarm, Cleared, Finding, Fired, Level, Mark, Step
from service.detect.gaps import NO_GAPS, Gaps

CRASH, BOOT_TIMEOUT, UP, STARTING, DOWN, ALSO = "crash", "boot_timeout", "up", "starting", "down", "also"

# After R10 the dyno is killed and called crashed within seconds, by the same clock; a dyno whose `starting` was not seen
# needs a minute to time out again. Between the two lies what makes two marks one crash.
SAME_CRASH = timedelta(minutes=2)
SAME_BOOT_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """`levels` count one dyno's crashes without `stable` heard time up in between (and, if given, `within` a time).

    `also` of the other sort of marks (H10: every web dyno is crashed) within `also_within` say the same at the highest level.
    """

    levels: tuple[Level, ...]
    stable: timedelta
    within: timedelta | None = None
    also: int | None = None
    also_within: timedelta = timedelta(minutes=5)
    gaps: Gaps = NO_GAPS


@dataclass(frozen=True, slots=True)
class Dyno:
    """One dyno: since when it is calm, that is up or scaled away (None: it is not), whether it has started since its last
    crash, and its crashes.

    Scaling away does not undo crashes at once: its line may come up to ten seconds late, and who scales to 0 and up again to
    start a crashing dyno anew has mended nothing yet.
    """

    name: str
    calm_since: datetime | None = None
    started: bool = False
    crashes: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Dynos:
    """The dynos of one process type that crash, or while the alarm is on all that were heard of; the other marks."""

    dynos: tuple[Dyno, ...] = ()
    also: tuple[Mark, ...] = ()
    alarm: Alarm | None = None


def step(rule: CrashLoop, state: Dynos, mark: Mark) -> Step[Dynos]:
    """`state` after `mark`; `Fired` where a dyno's crashes, or the other marks, reach a level."""
    if mark.sort == ALSO:
        return _also(rule, state, mark)
    dyno = next((one for one in state.dynos if one.name == mark.value), None)
    if mark.sort in (CRASH, BOOT_TIMEOUT):
        return _crash(rule, state, dyno or Dyno(mark.value), mark)
    if dyno is None and state.alarm is None:
        return _step(rule, state)  # a dyno that has not crashed may come and go
    calm_since = mark.at if mark.sort in (UP, DOWN) else None
    return _step(rule, _with(state, replace(dyno or Dyno(mark.value), calm_since=calm_since, started=True)))


def tick(rule: CrashLoop, state: Dynos, now: datetime) -> Step[Dynos]:
    """Dynos calm for `stable` by `now` have their crashes forgiven; `Cleared` when all of them are."""
    clear_at = _clear_at(rule, state)
    if state.alarm and clear_at is not None and clear_at <= now:
        reason = f"every dyno of it has been up, or scaled away, for {int(rule.stable.total_seconds() // 60)} minutes"
        return Step(Dynos(), (Cleared(now, reason, state.alarm),))
    kept = tuple(_forgiven(rule, dyno, now) for dyno in state.dynos)
    if state.alarm is None:
        kept = tuple(dyno for dyno in kept if dyno.crashes)
    return _step(rule, replace(state, dynos=kept))


def _crash(rule: CrashLoop, state: Dynos, dyno: Dyno, mark: Mark) -> Step[Dynos]:
    if _is_the_same(dyno, mark):
        return _step(rule, _with(state, replace(dyno, calm_since=None)))
    crashes = (*dyno.crashes, mark)[-20:]
    if rule.within is not None:
        crashes = tuple(one for one in crashes if one.at > mark.at - rule.within)
    state = _with(state, Dyno(mark.value, crashes=crashes))
    return _found(rule, state, mark, crashes, count=len(crashes))


def _is_the_same(dyno: Dyno, mark: Mark) -> bool:
    """Whether `mark` tells of the crash that is the dyno's last already."""
    if not dyno.crashes:
        return False
    since = mark.at - dyno.crashes[-1].at
    if dyno.started:
        return mark.sort == BOOT_TIMEOUT and since < SAME_BOOT_TIMEOUT
    return since < SAME_CRASH


def _also(rule: CrashLoop, state: Dynos, mark: Mark) -> Step[Dynos]:
    also = tuple(one for one in (*state.also, mark) if one.at > mark.at - rule.also_within)[-(rule.also or 1) :]
    reached = rule.also is not None and len(also) >= rule.also
    return _found(rule, replace(state, also=also), mark, also, count=rule.levels[-1].count if reached else 0)


def _found(rule: CrashLoop, state: Dynos, mark: Mark, marks: tuple[Mark, ...], *, count: float) -> Step[Dynos]:
    alarm = state.alarm.seen(mark) if state.alarm else None
    found: tuple[Finding, ...] = ()
    severity: Severity | None = max((one.severity for one in rule.levels if count >= one.count), default=None)
    if severity is not None and (alarm is None or alarm.severity < severity):
        alarm = alarm.raised(severity) if alarm else Alarm.of(marks, at=mark.at, severity=severity)
        found = (Fired(mark.at, alarm),)
    return _step(rule, replace(state, alarm=alarm), found)


def _with(state: Dynos, dyno: Dyno) -> Dynos:
    others = (one for one in state.dynos if one.name != dyno.name)
    return replace(state, dynos=tuple(sorted((*others, dyno), key=lambda one: one.name)))


def _forgiven(rule: CrashLoop, dyno: Dyno, now: datetime) -> Dyno:
    stable_at = _stable_at(rule, dyno)
    return replace(dyno, crashes=()) if stable_at is not None and stable_at <= now else dyno


def _stable_at(rule: CrashLoop, dyno: Dyno) -> datetime | None:
    """When the dyno has been calm for long enough; None where that is not in sight."""
    return rule.gaps.after(dyno.calm_since, rule.stable) if dyno.calm_since else None


def _clear_at(rule: CrashLoop, state: Dynos) -> datetime | None:
    """When the alarm ends if nothing else happens; None while a dyno of it is not calm, or none was heard of."""
    ends = [_stable_at(rule, dyno) for dyno in state.dynos]
    if state.also and ends:
        ends.append(rule.gaps.after(state.also[-1].at, rule.also_within))
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _step(rule: CrashLoop, state: Dynos, found: tuple[Finding, ...] = ()) -> Step[Dynos]:
    waits = [_stable_at(rule, dyno) for dyno in state.dynos if dyno.crashes]
    if state.alarm:
        waits.append(_clear_at(rule, state))
    return Step(state, found, min((at for at in waits if at is not None), default=None))
