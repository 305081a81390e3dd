"""One app's events through its rules: the step that live watching and a backtest share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parsers.event import Event
from service.detect import hearing
from service.detect.detector import Mark
from service.detect.gaps import NO_GAPS, Gaps
from service.detect.hearing import Hearing
from service.detect.history import LATENESS, Folded, History, fold
from service.detect.rule import DETECTORS, Rule

# A rule's name and one of its keys: what has a history of its own.
Place = tuple[str, str]
# Where the app's hearing has its history: no rule has an empty name.
HEARING: Place = ("", "")


def marks_of(rules: Sequence[Rule], events: Iterable[Event], clock: datetime | None) -> dict[Place, list[Mark]]:
    """What each of `events` is to each rule, and to the hearing. One that is further behind the app's `clock` than LATENESS is
    nothing to any."""
    marks: dict[Place, list[Mark]] = defaultdict(list)
    oldest = clock - LATENESS if clock else None
    looking: dict[str, list[Rule]] = {}
    for event in events:
        if oldest and event.at < oldest:
            continue
        heard = hearing.mark_of(event)
        if heard:
            marks[HEARING].append(heard)
        if event.kind not in looking:
            looking[event.kind] = [rule for rule in rules if rule.looks_at(event.kind)]
        for rule in looking[event.kind]:
            found = rule.mark_of(event)
            if found:
                marks[rule.name, found[0]].append(found[1])
    return marks


@dataclass(frozen=True, slots=True)
class HeardSoFar:
    """How well the app was heard up to its clock, and whether that is news: then every rule's timers are to be asked again."""

    folded: Folded[Hearing]
    is_news: bool

    @property
    def gaps(self) -> Gaps:
        return self.folded.state.gaps

    @property
    def is_paused(self) -> bool:
        """Whether nothing is expected of the app: then its silence says nothing."""
        return self.folded.state.heard.paused


def hear(
    history: History[Hearing] | None, marks: Sequence[Mark], *, before: datetime | None, clock: datetime
) -> HeardSoFar:
    """The hearing's `history` with its `marks`, as of the app's `clock`, which stood at `before` (None: it had none)."""
    known = Hearing()
    if history and before:
        known = fold(hearing.DETECTOR, hearing.SILENCE, history, (), clock=before).state
    folded = fold(hearing.DETECTOR, hearing.SILENCE, history or History(Hearing()), marks, clock=clock)
    now = folded.state
    return HeardSoFar(folded, (now.gaps, now.heard.paused) != (known.gaps, known.heard.paused))


def fold_each(
    rules: Sequence[Rule],
    histories: Mapping[Place, History[Any]],
    marks: Mapping[Place, Sequence[Mark]],
    *,
    clock: datetime,
    heard_at: datetime | None = None,
    gaps: Gaps = NO_GAPS,
) -> dict[Place, Folded[Any]]:
    """Each rule's of `histories` with its marks, and a new one for each place that has marks alone, as of the app's `clock`.
    `heard_at` is when the app was heard last (None: nothing is expected of it)."""
    by_name = {rule.name: rule for rule in rules}
    folded = {}
    for place in {**marks, **histories}:
        if place == HEARING:
            continue
        rule = by_name[place[0]]
        detector = DETECTORS[rule.detector]
        history = histories.get(place) or History(detector.empty)
        folded[place] = fold(
            detector, rule.params_with(gaps), history, marks.get(place, ()), clock=clock, heard_at=heard_at
        )
    return folded
