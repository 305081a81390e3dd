"""What was seen → what is said: one sentence that names the probable cause, what to type, how to verify. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from parsers.event import Event
from parsers.filters import parse_filter, predicate
from service.detect.rule import Cause, Rule
from service.detect.texts import fill, fill_filter

_KIND = re.compile(r"(?<![\w-])kind:(\w+)")

# Names that an event's fields do not say otherwise: what the incident is about.
_OWN = frozenset({"app", "environment", "subject", "process_type", "count", "target_app", "flag_var"})
# Characters of a field in a sentence: an exception may bear a whole document.
MOST = 200

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
    """The texts of the first of the rule's causes that holds, or the rule's own. A cause's say first what those events say by
    which it was seen. What is to be typed holds every value as one word of a shell: values come from logs."""
    cause, events = next(
        ((one, found) for one in rule.causes if (found := _seen_by(one, values, seen)) is not None), (None, [])
    )
    remedies = cause.remedies if cause and cause.remedies is not None else rule.remedies
    of_cause = {
        **values,
        **{name: value for event in reversed(events) for name, value in _fields(event) if name not in _OWN},
    }
    return Said(
        title=fill(rule.title, values),
        diagnosis=fill(cause.diagnosis if cause else rule.diagnosis, of_cause),
        remedies=[fill(one, {name: shlex.quote(str(value)) for name, value in of_cause.items()}) for one in remedies],
        verify=fill(cause.verify if cause and cause.verify else rule.verify, values),
    )


def apps_asked(rule: Rule, values: Mapping[str, object]) -> set[str]:
    """The apps whose events decide between the rule's causes."""
    return {fill(cause.app, values) for cause in rule.causes}


def kinds_asked(rule: Rule) -> set[str]:
    """The kinds of events that the rule's causes name."""
    return {kind for cause in rule.causes for filter in cause.seen for kind in _KIND.findall(filter)}


def _seen_by(cause: Cause, values: Mapping[str, object], seen: Seen) -> list[Event] | None:
    """The events by which the cause holds, the newest for each of its filters; None where it does not hold."""
    events = seen.get(fill(cause.app, values))
    if cause.unheard:
        return [] if events is None else None
    found = [_newest(template, values, events or ()) for template in cause.seen]
    return None if None in found else [event for event in found if event]


def _newest(template: str, values: Mapping[str, object], events: Sequence[Event]) -> Event | None:
    text = fill_filter(template, values)
    if text is None:
        return None
    matches = predicate(parse_filter(text))
    return next((event for event in reversed(events) if matches(event)), None)


def _fields(event: Event) -> Iterator[tuple[str, object]]:
    """What the event's fields say, cut to what a sentence can hold."""
    for name, value in event.fields.items():
        text = str(value)
        yield name, f"{text[:MOST]}…" if len(text) > MOST else value
