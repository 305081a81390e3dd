"""What a detector needs to know of a rule: the parts of a `[[rules]]` table that only its detector reads, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import ceil

from parsers.event import Event, Severity
from parsers.filters import FilterError, parse_filter, predicate
from parsers.filters.tree import And, Equals, Node, Or
from service.detect import absence, crash_loop, threshold, unfinished
from service.detect.absence import Absence
from service.detect.crash_loop import CrashLoop
from service.detect.detector import Level
from service.detect.table import Table
from service.detect.threshold import Threshold
from service.detect.unfinished import Unfinished
from service.detect.window import Measure


@dataclass(frozen=True, slots=True)
class Matcher:
    """A filter as a function of an event, and the kinds of the events that it can be true of; None: any."""

    matches: Callable[[Event], bool]
    kinds: frozenset[str] | None


Sorts = tuple[tuple[str, Matcher], ...]
Params = Threshold | Unfinished | Absence | CrashLoop


@dataclass(frozen=True, slots=True)
class Carries:
    """The fields of an event that its mark carries: one's value, one that is a number, and what that is a share of."""

    value: str | None = None
    number: str | None = None
    of: str | None = None


Read = tuple[Sorts, Params, Carries]


def read_params(rule: Table, detector: str) -> Read:
    """Which events are what to the rule, in the order they are asked, its detector's parameters, and what its marks carry.
    Raises RuleError."""
    return _READERS[detector](rule)


def _threshold(rule: Table) -> Read:
    sorts = [(threshold.MATCH, _filter(rule, "match"))]
    at_once, recovers, on_purpose = rule.table("at_once"), rule.table("recovers"), rule.table("on_purpose")
    if on_purpose:
        sorts.insert(0, (threshold.ON_PURPOSE, _filter(on_purpose, "match")))
        sorts.append((threshold.PURPOSE_OVER, _filter(on_purpose, "until")))
    if at_once:
        sorts.insert(0, (threshold.AT_ONCE, _filter(at_once, "match")))
    if recovers:
        sorts.append((threshold.RECOVER, _filter(recovers, "match")))
        if recovers.optional_text("after"):
            sorts.append((threshold.AFTER, _filter(recovers, "after")))
    measure, carries = _measure(rule)
    levels = _levels(rule, least=0 if measure.what == "sum" else 1)
    quiet_share = rule.number("quiet_below", default=1 if measure.of else 0, most=1) * levels[0].count
    params = Threshold(
        levels=levels,
        within=rule.span("within"),
        measure=measure,
        quiet=rule.optional_span("quiet"),
        quiet_count=quiet_share if measure.of else max(1, ceil(quiet_share)),
        recoveries=int(recovers.number("count", default=1, least=1)) if recovers else None,
        after=bool(recovers and recovers.optional_text("after")),
        at_once=_severity(at_once) if at_once else None,
        on_purpose=_severity(on_purpose) if on_purpose else None,
    )
    if params.quiet is None and params.recoveries is None:
        raise rule.wrong("quiet", None, 'a time such as "15m", or recovers, or both: what ends the incident')
    for inner in (at_once, recovers, on_purpose):
        if inner:
            inner.no_more()
    return tuple(sorts), params, carries


def _measure(rule: Table) -> tuple[Measure, Carries]:
    total, distinct = rule.optional_text("sum"), rule.optional_text("distinct")
    of, apart = rule.optional_text("of"), rule.optional_text("per")
    if total and distinct:
        raise rule.wrong("sum", total, "either sum or distinct, not both")
    if of and not total:
        raise rule.wrong("of", of, "sum beside it: the part of it that is looked at")
    if distinct and apart:
        raise rule.wrong("per", apart, "either distinct or per, not both")
    least = rule.number("at_least", default=0)
    if least and not of:
        raise rule.wrong("at_least", least, "of beside it: how much of that there must be")
    what = "sum" if total else "count" if not distinct else "minutes" if distinct == "minute" else "values"
    value = apart or (distinct if what == "values" else None)
    return Measure(what, of is not None, least, total is not None and apart is not None), Carries(value, total, of)


def _unfinished(rule: Table) -> Read:
    at_once = rule.table("at_once")
    sorts = [(unfinished.END, _filter(rule, "ends")), (unfinished.START, _filter(rule, "starts"))]
    if at_once:
        sorts.append((unfinished.AT_ONCE, _filter(at_once, "match")))
    params = Unfinished(rule.span("within"), _severity(rule), _severity(at_once) if at_once else None)
    if at_once:
        at_once.no_more()
    return tuple(sorts), params, Carries()


def _absence(rule: Table) -> Read:
    sorts = [(absence.MATCH, _filter(rule, "match"))]
    paused = rule.table("paused")
    if paused:
        sorts.append((absence.PAUSE, _filter(paused, "match")))
        sorts.append((absence.RESUME, _filter(paused, "until")))
        paused.no_more()
    params = Absence(rule.span("within"), _severity(rule), rule.number("regular", default=0, most=1))
    return tuple(sorts), params, Carries()


def _crash_loop(rule: Table) -> Read:
    crash = _filter(rule, "match")
    also = rule.table("also")
    sorts = [
        (crash_loop.BOOT_TIMEOUT, Matcher(lambda event: event.code == "R10" and crash.matches(event), crash.kinds)),
        (crash_loop.CRASH, crash),
        (crash_loop.UP, _compiled("kind:dyno_state to:up")),
        (crash_loop.STARTING, _compiled("kind:dyno_state (to:starting OR to:crashed)")),
        (crash_loop.DOWN, _compiled("kind:dyno_state (to:down OR to:complete)")),
    ]
    if also:
        sorts.append((crash_loop.ALSO, _filter(also, "match")))
    params = CrashLoop(
        levels=_levels(rule),
        stable=rule.span("stable"),
        within=rule.optional_span("within"),
        also=int(also.number("count", least=1)) if also else None,
        also_within=also.span("within") if also else timedelta(minutes=5),
    )
    if also:
        also.no_more()
    return tuple(sorts), params, Carries()


_READERS: dict[str, Callable[[Table], Read]] = {
    "threshold": _threshold,
    "unfinished": _unfinished,
    "absence": _absence,
    "crash_loop": _crash_loop,
}

_SEVERITIES = tuple(one.label for one in Severity)


def _severity(table: Table) -> Severity:
    return Severity.of(table.one_of("severity", _SEVERITIES))


def _levels(rule: Table, *, least: float = 1) -> tuple[Level, ...]:
    tables = rule.tables("levels")
    if not tables:
        return (_level(rule, least),)
    if severity := rule.optional_text("severity"):
        raise rule.wrong("severity", severity, "none beside levels, each of which has its own")
    levels = [_level(one, least) for one in tables]
    for one in tables:
        one.no_more()
    if any(a.count >= b.count or a.severity >= b.severity for a, b in pairwise(levels)):
        said = [f"{one.count} {one.severity.label}" for one in levels]
        raise rule.wrong("levels", said, "counts that rise, with severities that rise")
    return tuple(levels)


def _level(table: Table, least: float) -> Level:
    return Level(table.number("count", least=least), _severity(table))


def _filter(table: Table, field: str) -> Matcher:
    text = table.text(field)
    try:
        return _compiled(text)
    except FilterError as error:
        raise table.wrong(field, text, f"a filter; {error}") from error


def _compiled(text: str) -> Matcher:
    node = parse_filter(text)
    return Matcher(predicate(node), _kinds(node))


def _kinds(node: Node) -> frozenset[str] | None:
    match node:
        case Equals("kind", kind):
            return frozenset({kind})
        case And(nodes):
            known = [kinds for kinds in map(_kinds, nodes) if kinds is not None]
            return frozenset.intersection(*known) if known else None
        case Or(nodes):
            each = [_kinds(one) for one in nodes]
            return None if None in each else frozenset().union(*(kinds for kinds in each if kinds is not None))
    return None
