"""A rule: a named pattern, as data. What a `[[rules]]` table says, checked, with its filters made into functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2s
from typing import Any

from parsers.event import Event
from parsers.filters import FilterError, parse_filter
from service.detect import absence, crash_loop, threshold, unfinished
from service.detect.absence import Heard
from service.detect.crash_loop import CrashLoop, Dynos
from service.detect.detector import Mark
from service.detect.gaps import Gaps
from service.detect.history import Detector
from service.detect.params import Carries, Params, Sorts, read_params
from service.detect.table import Table
from service.detect.texts import fill, names_in
from service.detect.threshold import Recent, Threshold
from service.detect.unfinished import Begun

DETECTORS: dict[str, Detector[Any, Any]] = {
    "threshold": Detector(Recent(), threshold.step, threshold.tick),
    "unfinished": Detector(Begun(), unfinished.step, unfinished.tick, opens_in_time=True),
    "absence": Detector(Heard(), absence.step, absence.tick, opens_in_time=True),
    "crash_loop": Detector(Dynos(), crash_loop.step, crash_loop.tick),
}

# Dynos that run once and end; Heroku never starts them again (Heroku: One-off dynos).
ONE_OFF = frozenset({"run", "scheduler", "release"})


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
    params: Params
    sorts: Sorts
    key: str
    carries: Carries
    inhibits: tuple[str, ...]
    title: str
    diagnosis: str
    causes: tuple[Cause, ...]
    remedies: tuple[str, ...]
    verify: str
    runbook: str | None
    version: str  # of what it recognises: alike for tables that differ in what is said only

    def mark_of(self, event: Event) -> tuple[str, Mark] | None:
        """The key at which `event` counts, and what it is to this rule; None where it is nothing to it."""
        sort = next((sort for sort, matcher in self.sorts if matcher.matches(event)), None)
        key = self._key_of(event)
        if sort is None or key is None or event.id is None:
            return None
        if self.detector == "crash_loop":
            if key in ONE_OFF:
                return None
            return key, Mark(event.at, sort, event.dyno or "", event.id)
        value = event.fields.get(self.carries.value) if self.carries.value else None
        number, of = _number(event, self.carries.number), _number(event, self.carries.of)
        return key, Mark(event.at, sort, "" if value is None else str(value), event.id, number, of)

    def looks_at(self, kind: str) -> bool:
        """Whether an event of that kind can be anything to it."""
        return any(matcher.kinds is None or kind in matcher.kinds for _, matcher in self.sorts)

    def params_with(self, gaps: Gaps) -> Params:
        """The parameters for an app with these gaps: what time alone ends must not count them."""
        if gaps.known and isinstance(self.params, Threshold | CrashLoop):
            return replace(self.params, gaps=gaps)
        return self.params

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
    sorts, params, carries = read_params(rule, detector)
    read = Rule(
        name=name,
        detector=detector,
        params=params,
        sorts=sorts,
        key=rule.optional_text("key") or "app",
        carries=carries,
        inhibits=rule.texts("inhibits") or (),
        title=rule.text("title"),
        diagnosis=rule.text("diagnosis"),
        causes=tuple(_cause(one) for one in rule.tables("causes")),
        remedies=rule.texts("remedies") or (),
        verify=rule.optional_text("verify") or "",
        runbook=rule.optional_text("runbook"),
        version=_version(table),
    )
    rule.no_more()
    return read


# What is said, to whom, and where it holds: none of it changes what is recognised.
_SAID = frozenset(
    (
        "name",
        "app",
        "environment",
        "enabled",
        "inhibits",
        "title",
        "diagnosis",
        "causes",
        "remedies",
        "verify",
        "runbook",
    )
)


def _version(table: Mapping[str, Any]) -> str:
    told = {field: value for field, value in table.items() if field not in _SAID}
    return blake2s(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _number(event: Event, field: str | None) -> float:
    value = event.fields.get(field) if field else None
    return float(value) if isinstance(value, int | float) else 0.0


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
