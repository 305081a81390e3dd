"""One app's events through its rules: the step that live watching and a backtest share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from parsers.event import Event
from service.detect.detector import Mark
from service.detect.history import LATENESS, Folded, History, fold
from service.detect.rule import DETECTORS, Rule

# A rule's name and one of its keys: what has a history of its own.
Place = tuple[str, str]


def marks_of(rules: Sequence[Rule], events: Iterable[Event], clock: datetime | None) -> dict[Place, list[Mark]]:
    """What each of `events` is to each rule. One that is further behind the app's `clock` than LATENESS is nothing to any."""
    marks: dict[Place, list[Mark]] = defaultdict(list)
    oldest = clock - LATENESS if clock else None
    for event in events:
        if oldest and event.at < oldest:
            continue
        for rule in rules:
            found = rule.mark_of(event)
            if found:
                marks[rule.name, found[0]].append(found[1])
    return marks


def fold_each(
    rules: Sequence[Rule],
    histories: Mapping[Place, History[Any]],
    marks: Mapping[Place, Sequence[Mark]],
    *,
    clock: datetime,
) -> dict[Place, Folded[Any]]:
    """Each of `histories` with its marks, and a new one for each place that has marks alone, as of the app's `clock`."""
    by_name = {rule.name: rule for rule in rules}
    folded = {}
    for place in {**marks, **histories}:
        rule = by_name[place[0]]
        detector = DETECTORS[rule.detector]
        history = histories.get(place) or History(detector.empty)
        folded[place] = fold(detector, rule.params, history, marks.get(place, ()), clock=clock)
    return folded
