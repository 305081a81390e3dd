"""What was seen → what is said: one sentence that names the probable cause, what to type, how to verify. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parsers.event import Event
from parsers.filters import parse_filter, predicate
from service.detect.rule import Cause, Rule
from service.detect.texts import fill, fill_filter

_KIND = re.compile(r"(?<![\w-])kind:(\w+)")

# What was seen of each app that a rule's causes ask about, oldest first; None for an app that has no drain here.
Seen = Mapping[str, Sequence[Event] | None]


@dataclass(frozen=True, slots=True)
class Said:
    """An incident's texts, with every name filled in."""

    title: str
    diagnosis: str
    remedies: list[str]
    verify: str


def diagnose(rule: Rule, values: Mapping[str, object], seen: Seen) -> Said:
    """The texts of the first of the rule's causes that holds, or the rule's own."""
    cause = next((one for one in rule.causes if _holds(one, values, seen)), None)
    remedies = cause.remedies if cause and cause.remedies is not None else rule.remedies
    return Said(
        title=fill(rule.title, values),
        diagnosis=fill(cause.diagnosis if cause else rule.diagnosis, values),
        remedies=[fill(one, values) for one in remedies],
        verify=fill(cause.verify if cause and cause.verify else rule.verify, values),
    )


def apps_asked(rule: Rule, values: Mapping[str, object]) -> set[str]:
    """The apps whose events decide between the rule's causes."""
    return {fill(cause.app, values) for cause in rule.causes}


def kinds_asked(rule: Rule) -> set[str]:
    """The kinds of events that the rule's causes name."""
    return {kind for cause in rule.causes for filter in cause.seen for kind in _KIND.findall(filter)}


def _holds(cause: Cause, values: Mapping[str, object], seen: Seen) -> bool:
    events = seen.get(fill(cause.app, values))
    if cause.unheard:
        return events is None
    return all(_was_seen(template, values, events or ()) for template in cause.seen)


def _was_seen(template: str, values: Mapping[str, object], events: Sequence[Event]) -> bool:
    text = fill_filter(template, values)
    if text is None:
        return False
    matches = predicate(parse_filter(text))
    return any(matches(event) for event in events)
