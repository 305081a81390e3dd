"""A rule: a named pattern, as data. What a `[[rules]]` table says, checked, with its filters made into functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import ceil
from typing import Any

from parsers.event import Event, Severity
from parsers.filters import FilterError, parse_filter, predicate
from service.detect import crash_loop, threshold, unfinished
from service.detect.crash_loop import CrashLoop, Dynos
from service.detect.detector import Level, Mark
from service.detect.history import Detector
from service.detect.table import Table
from service.detect.texts import fill, names_in
from service.detect.threshold import Recent, Threshold
from service.detect.unfinished import Begun, Unfinished

DETECTORS: dict[str, Detector[Any, Any]] = {
    "threshold": Detector(Recent(), threshold.step, threshold.tick),
    "unfinished": Detector(Begun(), unfinished.step, unfinished.tick),
    "crash_loop": Detector(Dynos(), crash_loop.step, crash_loop.tick),
}

# Dynos that run once and end; Heroku never starts them again (Heroku: One-off dynos).
ONE_OFF = frozenset({"run", "scheduler", "release"})

Predicate = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Cause:
    """One probable cause: it is the diagnosis where each filter of `seen` matches something that was seen in `app`.

    `seen` and `app` are templates; `unheard` holds instead where `app` has no drain here. `remedies` and `verify` stand in
    for the rule's where given.
    """

    app: str
    seen: tuple[str, ...]
    unheard: bool
    diagnosis: str
    remedies: tuple[str, ...] | None
    verify: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern (`params`, for the detector named), which events are what to it (`sorts`, the first that matches), its key,
    and what is said when it fires."""

    name: str
    detector: str
    params: Threshold | Unfinished | CrashLoop
    sorts: tuple[tuple[str, Predicate], ...]
    key: str
    value: str | None  # the field whose value a mark carries
    inhibits: tuple[str, ...]
    title: str
    diagnosis: str
    causes: tuple[Cause, ...]
    remedies: tuple[str, ...]
    verify: str
    runbook: str | None

    def mark_of(self, event: Event) -> tuple[str, Mark] | None:
        """The key at which `event` counts, and what it is to this rule; None where it is nothing to it."""
        sort = next((sort for sort, matches in self.sorts if matches(event)), None)
        key = self._key_of(event)
        if sort is None or key is None or event.id is None:
            return None
        if self.detector == "crash_loop":
            if key in ONE_OFF:
                return None
            return key, Mark(event.at, sort, event.dyno or "", event.id)
        value = event.fields.get(self.value) if self.value else None
        number = float(value) if isinstance(value, int | float) else 0.0
        return key, Mark(event.at, sort, "" if value is None else str(value), event.id, number)

    def _key_of(self, event: Event) -> str | None:
        match self.key:
            case "app":
                return event.app
            case "dyno":
                return event.dyno
            case "process_type":  # the router speaks of web dynos, also where it could reach none of them
                return event.process_type or ("web" if event.process == "router" else None)
        value = event.fields.get(self.key)
        return None if value is None else str(value)


def read_rule(table: Mapping[str, Any], *, file: str) -> Rule:
    """The rule that a `[[rules]]` table describes. Raises RuleError: file, rule, field, value and what was expected."""
    rule = Table(table, where=f"{file}: rule {table.get('name', '(without a name)')}")
    name, detector = rule.text("name"), rule.one_of("detector", DETECTORS)
    rule.optional_text("app")
    rule.optional_text("environment")
    rule.flag("enabled", default=True)
    sorts, params, value = _READERS[detector](rule)
    read = Rule(
        name=name,
        detector=detector,
        params=params,
        sorts=sorts,
        key=rule.optional_text("key") or "app",
        value=value,
        inhibits=rule.texts("inhibits") or (),
        title=rule.text("title"),
        diagnosis=rule.text("diagnosis"),
        causes=tuple(_cause(one) for one in rule.tables("causes")),
        remedies=rule.texts("remedies") or (),
        verify=rule.optional_text("verify") or "",
        runbook=rule.optional_text("runbook"),
    )
    rule.no_more()
    return read


def _threshold(rule: Table) -> tuple[tuple[tuple[str, Predicate], ...], Threshold, str | None]:
    sorts = [(threshold.MATCH, _filter(rule, "match"))]
    levels = _levels(rule)
    at_once = rule.table("at_once")
    if at_once:
        sorts.insert(0, (threshold.AT_ONCE, _filter(at_once, "match")))
    recovers = rule.table("recovers")
    if recovers:
        sorts.append((threshold.RECOVER, _filter(recovers, "match")))
    total, distinct = rule.optional_text("sum"), rule.optional_text("distinct")
    if total and distinct:
        raise rule.wrong("sum", total, "either sum or distinct, not both")
    measure = "sum" if total else "count" if not distinct else "minutes" if distinct == "minute" else "values"
    share = rule.number("quiet_below", default=0, most=1)
    params = Threshold(
        levels=levels,
        within=rule.span("within"),
        measure=measure,
        quiet=rule.optional_span("quiet"),
        quiet_count=max(1, ceil(levels[0].count * share)),
        recoveries=int(recovers.number("count", default=1, least=1)) if recovers else None,
        at_once=Severity.of(at_once.one_of("severity", _SEVERITIES)) if at_once else None,
    )
    if params.quiet is None and params.recoveries is None:
        raise rule.wrong("quiet", None, 'a time such as "15m", or recovers, or both: what ends the incident')
    for inner in (at_once, recovers):
        if inner:
            inner.no_more()
    return tuple(sorts), params, total or (distinct if measure == "values" else None)


def _unfinished(rule: Table) -> tuple[tuple[tuple[str, Predicate], ...], Unfinished, str | None]:
    sorts = ((unfinished.END, _filter(rule, "ends")), (unfinished.START, _filter(rule, "starts")))
    severity = Severity.of(rule.one_of("severity", _SEVERITIES))
    return sorts, Unfinished(rule.span("within"), severity), None


def _crash_loop(rule: Table) -> tuple[tuple[tuple[str, Predicate], ...], CrashLoop, str | None]:
    crash = _filter(rule, "match")
    also = rule.table("also")
    sorts = [
        (crash_loop.BOOT_TIMEOUT, lambda event: event.code == "R10" and crash(event)),
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
    return tuple(sorts), params, None


_READERS: dict[str, Callable[[Table], Any]] = {
    "threshold": _threshold,
    "unfinished": _unfinished,
    "crash_loop": _crash_loop,
}

_SEVERITIES = tuple(one.label for one in Severity)


def _levels(rule: Table) -> tuple[Level, ...]:
    tables = rule.tables("levels")
    if not tables:
        return (_level(rule),)
    if severity := rule.optional_text("severity"):
        raise rule.wrong("severity", severity, "none beside levels, each of which has its own")
    levels = [_level(one) for one in tables]
    for one in tables:
        one.no_more()
    if any(a.count >= b.count or a.severity >= b.severity for a, b in pairwise(levels)):
        said = [f"{one.count} {one.severity.label}" for one in levels]
        raise rule.wrong("levels", said, "counts that rise, with severities that rise")
    return tuple(levels)


def _level(table: Table) -> Level:
    return Level(table.number("count", least=1), Severity.of(table.one_of("severity", _SEVERITIES)))


def _cause(table: Table) -> Cause:
    seen = table.texts("seen") or ()
    for number, template in enumerate(seen):
        try:
            parse_filter(fill(template, dict.fromkeys(names_in(template), '"x"')))
        except FilterError as error:
            raise table.wrong(f"seen[{number}]", template, f"a filter; {error}") from error
    unheard = table.flag("unheard", default=False)
    if not seen and not unheard:
        raise table.wrong("seen", None, "filters, each of which must match something that was seen")
    cause = Cause(
        app=table.optional_text("app") or "{app}",
        seen=seen,
        unheard=unheard,
        diagnosis=table.text("diagnosis"),
        remedies=table.texts("remedies"),
        verify=table.optional_text("verify"),
    )
    table.no_more()
    return cause


def _filter(table: Table, field: str) -> Predicate:
    text = table.text(field)
    try:
        return _compiled(text)
    except FilterError as error:
        raise table.wrong(field, text, f"a filter; {error}") from error


def _compiled(text: str) -> Predicate:
    return predicate(parse_filter(text))
