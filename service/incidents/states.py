"""Rule states as they are stored: a fold's history as JSON, with the version of the rule that it belongs to.

A state of another version is nobody's: what it remembers was counted by other numbers (`rule_change.py` sees to it).
"""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from service.detect.absence import Heard
from service.detect.app_fold import HEARING
from service.detect.crash_loop import Dynos
from service.detect.hearing import Hearing
from service.detect.history import History
from service.detect.rule import Rule
from service.detect.threshold import Recent
from service.detect.unfinished import Begun
from service.store.rule_states import RuleState

_HISTORIES: dict[str, TypeAdapter[History[Any]]] = {
    "threshold": TypeAdapter(History[Recent]),
    "unfinished": TypeAdapter(History[Begun]),
    "absence": TypeAdapter(History[Heard]),
    "crash_loop": TypeAdapter(History[Dynos]),
}
_HEARING = TypeAdapter(History[Hearing])
# Counts up when a state's form changes so that an old one cannot be read.
FORM = 1


def version_of(rule: Rule) -> str:
    """What a stored state must bear to belong to `rule`."""
    return f"{FORM}/{rule.version}"


def is_of(state: RuleState, rule: Rule | None) -> bool:
    """Whether it belongs to the `rule` that is in force under its name (None: none is)."""
    return rule is not None and isinstance(state.state, dict) and state.state.get("version") == version_of(rule)


def read_history(state: RuleState, rule: Rule) -> History[Any]:
    """The history that a state `is_of` the rule keeps."""
    return _HISTORIES[rule.detector].validate_python(state.state["history"])


def write_history(rule: Rule, history: History[Any]) -> Any:
    """As it is stored."""
    return {
        "version": version_of(rule),
        "history": _HISTORIES[rule.detector].dump_python(history, mode="json", exclude_defaults=True),
    }


def read_hearing(states: list[RuleState]) -> tuple[History[Hearing] | None, datetime | None]:
    """The app's hearing among its states, and its timer; None where nothing was heard yet, or not in a readable form."""
    found = next((one for one in states if (one.rule, one.key) == HEARING), None)
    if found is None or not isinstance(found.state, dict) or found.state.get("version") != FORM:
        return None, None
    return _HEARING.validate_python(found.state["history"]), found.wake_at


def write_hearing(history: History[Hearing]) -> Any:
    """As it is stored."""
    return {
        "version": FORM,
        "history": _HEARING.dump_python(history, mode="json", exclude_defaults=True),
    }
