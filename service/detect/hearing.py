"""How well an app is heard: a fold like any other, over heartbeats and losses, whose state says where the gaps are.

A drain that speaks every minute and then says nothing for three is silent: the gap is known long before `drain_silent` pages
anybody. One that speaks less often is given more time, three times what usually lies between two words; and an app that
speaks only now and then has no such gaps, for nobody can tell its silence from health.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parsers.event import Event, Severity
from parsers.filters import parse_filter, predicate
from service.detect import absence
from service.detect.absence import Absence, Heard
from service.detect.detector import Alarm, Mark, Step
from service.detect.gaps import NO_GAPS, Gap, Gaps
from service.detect.history import Detector

LOSS = "loss"
# Lines that were on their way (L10, L12, L13), or that a terminal did not get (L11).
LOSS_CODES = frozenset({"L10", "L11", "L12", "L13"})
# Heard in five of fifteen minutes; so that what ends after five minutes is held back, where every minute was heard it is three.
_SPAN = timedelta(minutes=15)
SILENCE = Absence(timedelta(minutes=3), Severity.INFO, regular=1 / 3, before=_SPAN)
# Nobody waits for what is older.
_KEPT = timedelta(days=2)

# When nothing is expected of an app: all its dynos are scaled away, or asleep. One-off dynos come and go meanwhile.
PAUSES = "kind:release action:scaled dynos:0 OR kind:dyno_state action:idling"
RESUMES = "kind:release action:scaled dynos>0 OR kind:dyno_state to:up -dyno:run.* -dyno:scheduler.* -dyno:release.*"
_pauses, _resumes = predicate(parse_filter(PAUSES)), predicate(parse_filter(RESUMES))


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard lately, and the gaps of the last days."""

    heard: Heard = field(default_factory=Heard)
    gaps: Gaps = NO_GAPS

    @property
    def alarm(self) -> Alarm | None:
        """None: a gap by itself is no incident."""
        return None


def mark_of(event: Event) -> Mark | None:
    """What `event` says of the hearing; None where it says nothing."""
    if event.id is None:
        return None
    if event.kind == "heartbeat":
        return Mark(event.at, absence.MATCH, "", event.id)
    if event.kind == "logplex_error":
        if event.code not in LOSS_CODES:
            return None
        count = event.fields.get("count")
        number = float(count) if isinstance(count, int | float) else 0.0
        return Mark(event.at, LOSS, f"{event.code} {event.fields.get('since', '')}", event.id, number)
    if event.kind in ("release", "dyno_state"):
        if _pauses(event):
            return Mark(event.at, absence.PAUSE, "", event.id)
        if _resumes(event):
            return Mark(event.at, absence.RESUME, "", event.id)
    return None


def step(rule: Absence, hearing: Hearing, mark: Mark) -> Step[Hearing]:
    """`hearing` after `mark`; finds nothing."""
    if mark.sort == LOSS:
        gaps = hearing.gaps.lost(_loss(mark))
        return Step(replace(hearing, gaps=gaps), wake_at=_silent_at(rule, hearing.heard, mark.at))
    heard = absence.step(rule, hearing.heard, mark)
    # Who is scaled away on purpose is not silent any more; what it was until then it was.
    gaps = hearing.gaps.heard(mark.at) if mark.sort != absence.RESUME else hearing.gaps
    gaps = Gaps(tuple(gap for gap in gaps.known if gap.until is None or gap.until > mark.at - _KEPT))
    return Step(Hearing(heard.state, gaps), wake_at=_silent_at(rule, heard.state, mark.at))


def tick(rule: Absence, hearing: Hearing, now: datetime) -> Step[Hearing]:
    """With a gap that has begun when the last word was heard."""
    heard = absence.tick(_patient(rule, hearing.heard), hearing.heard, now)
    last = hearing.heard.last
    gaps = hearing.gaps.fell_silent(last.at, now) if heard.findings and last else hearing.gaps
    return Step(Hearing(heard.state, gaps), wake_at=heard.wake_at)


def _silent_at(rule: Absence, heard: Heard, now: datetime) -> datetime | None:
    return absence.tick(_patient(rule, heard), heard, now).wake_at


def _patient(rule: Absence, heard: Heard) -> Absence:
    """`rule` with the time that is given to who was heard that often."""
    return replace(rule, within=max(rule.within, 3 * _SPAN / max(1, len(heard.times))))


def _loss(mark: Mark) -> Gap:
    code, _, text = mark.value.partition(" ")
    try:
        since = datetime.fromisoformat(text)
        since = min(since, mark.at) if since.tzinfo else mark.at
    except ValueError:
        since = mark.at
    return Gap(since, mark.at, mark.at, code, int(mark.number) or None)


DETECTOR: Detector[Absence, Hearing] = Detector(Hearing(), step, tick, opens_in_time=True)
