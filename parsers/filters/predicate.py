"""Tree → a function of an Event. What each node means is said in tree.py; here it is made fast.

Rules run each over every event, so a tree is compiled once into closures, with everything that depends on the filter alone
done before: `kind:x code:y` costs some 150 ns an event. No pattern backtracks, whatever stands in it (`_fits`).
"""

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

from parsers.event import Event, FieldValue
from parsers.filters.tree import (
    COLUMNS,
    NUMBER,
    TEXT_COLUMNS,
    And,
    Compare,
    Equals,
    Everything,
    Glob,
    Has,
    Node,
    Not,
    Or,
    Text,
    TextGlob,
)

Predicate = Callable[[Event], bool]


def predicate(node: Node) -> Predicate:
    """Whether an event is in the filter, as a function. It raises nothing."""
    match node:
        case Everything():
            return lambda _event: True
        case Text(text):
            return _message(_holds(text))
        case TextGlob(pattern):
            return _message(_fits(f"*{pattern}*", re.IGNORECASE | re.ASCII))
        case Equals(name, value):
            return _equals(name, value)
        case Glob(name, pattern):
            return _glob(name, pattern)
        case Has(name):
            return _has(name)
        case Compare(name, sign, value):
            return _compare(name, _OPERATORS[sign], value)
        case Not(inner):
            return _not(predicate(inner))
        case And(nodes):
            return _and([predicate(one) for one in nodes])
        case Or(nodes):
            return _or([predicate(one) for one in nodes])


# -- and, or, not ----------------------------------------------------------------------------------------------------


def _not(inner: Predicate) -> Predicate:
    return lambda event: not inner(event)


def _and(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda event: first(event) and second(event)

    def all_hold(event: Event) -> bool:  # a loop: `all(…)` makes a generator and takes twice as long
        for part in parts:  # noqa: SIM110
            if not part(event):
                return False
        return True

    return all_hold


def _or(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda event: first(event) or second(event)

    def any_holds(event: Event) -> bool:
        for part in parts:  # noqa: SIM110
            if part(event):
                return True
        return False

    return any_holds


# -- values ----------------------------------------------------------------------------------------------------------


def _value_of(name: str) -> Callable[[Event], Any]:
    """How an event's value under a name is got; the value is None where there is none."""
    if name == "id":
        return lambda event: None if event.id is None else str(event.id)
    if name in COLUMNS:
        return attrgetter(name)
    return lambda event: event.fields.get(name)


def _text_of(value: str | float | bool) -> str:
    """The text of one value: a float in all its digits (`1e+16` is `10000000000000000`), as a database writes a numeric."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{_exact(value):f}" if isinstance(value, float) else str(value)


def _exact(value: float) -> Decimal:
    """A float as the decimal number that JSON writes for it; 0.1 is 0.1. Without a sign on zero, which no database keeps."""
    return Decimal(repr(value or 0.0))


def _equals(name: str, text: str) -> Predicate:
    get: Callable[[Event], object] = _value_of(name)
    if name == "flags":
        return lambda event: text in event.flags
    if name in TEXT_COLUMNS:
        return lambda event: get(event) == text
    number = Decimal(text) if is_json_number(text) else None
    truth = {"true": True, "false": False}.get(text)

    def equal(event: Event) -> bool:
        value = event.fields.get(name)
        if isinstance(value, str):
            return value == text
        if isinstance(value, bool):
            return value is truth
        if isinstance(value, list):
            return text in value
        if number is None or value is None:
            return False
        return number == (_exact(value) if isinstance(value, float) else value)

    return equal


_JSON_NUMBER = re.compile(rf"(?!-?0[0-9]){NUMBER}")


def is_json_number(text: str) -> bool:
    """Whether a number may equal `text`: `0503` is a text only."""
    return _JSON_NUMBER.fullmatch(text) is not None


def _glob(name: str, pattern: str) -> Predicate:
    get, fits = _value_of(name), _fits(pattern)

    def match(event: Event) -> bool:
        value: FieldValue | tuple[str, ...] = get(event)
        if value is None:
            return False
        if isinstance(value, list | tuple):
            return any(map(fits, value))
        return fits(_text_of(value))

    return match


def _has(name: str) -> Predicate:
    get = _value_of(name)
    return lambda event: (value := get(event)) is not None and value != [] and value != ()


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_NUMBER = re.compile(NUMBER)


def _compare(name: str, stands: Callable[[Any, Any], bool], bound: object) -> Predicate:
    get = _value_of(name)
    if not isinstance(bound, Decimal):
        return lambda event: stands(get(event), bound)

    def compare(event: Event) -> bool:
        value = get(event)
        if type(value) is int:
            return stands(value, bound)
        if isinstance(value, float):  # a NaN stands in no relation to anything
            return value == value and stands(_exact(value), bound)
        return isinstance(value, str) and _NUMBER.fullmatch(value) is not None and stands(Decimal(value), bound)

    return compare


# -- texts and patterns ----------------------------------------------------------------------------------------------


def _message(holds: Callable[[str], bool]) -> Predicate:
    return lambda event: holds(event.message)


def _holds(text: str) -> Callable[[str], bool]:
    """Whether `text` occurs, A to Z like a to z. By bytes: `bytes.lower` knows ASCII alone, and `in` beats a pattern by far."""
    wanted = _lowered(text)
    return lambda message: wanted in _lowered(message)


def _lowered(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").lower()


def _fits(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str], bool]:
    """Whether a text fits a glob as a whole, in time linear in it.

    What stands between two stars is taken where it occurs first and never looked for again (an atomic group): if the rest
    does not fit behind its first place, it fits behind no other. Only the last piece must stand at the end.
    """
    first, *others = [_piece(part) for part in re.split(r"\*+", pattern)]
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    last = f".*{others[-1]}" if others else ""
    match = re.compile(f"{first}{between}{last}\\Z", flags | re.DOTALL).match
    return lambda text: match(text) is not None


def _piece(part: str) -> str:
    """The expression of a glob without stars."""
    return "".join("." if letter == "?" else re.escape(letter) for letter in part)
