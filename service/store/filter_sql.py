"""Tree → WHERE over the table of events: the filter language's second backend. What each node means stands in
`parsers/filters/tree.py`; a property test holds both backends to the same answer.

Hard about it: SQL has three truth values, a filter two; and a field may be a text, a number, a list or nothing. So a node's
condition is true exactly where the node is, and false or NULL elsewhere; a negation is `is not true`, which is the complement
of both. Values go in as parameters, never as text of the statement.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FunctionElement,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    Uuid,
    and_,
    any_,
    case,
    cast,
    collate,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from parsers.event import Event, Severity
from parsers.filters import Node, predicate
from parsers.filters import tree as of
from parsers.filters.predicate import is_json_number
from service.store.apps import App
from service.store.tables import events

Condition = ColumnElement[bool]
# By the names of the table of events.
Columns = Mapping[str, ColumnElement[Any]]
EVENTS: Columns = dict(events.c.items())

# What an event has from its app's row and not from its own.
_OF_THE_APP = ("app", "environment")
_NUMBER = f"^{of.NUMBER}$"
_FEW = 16  # each is a walk of its own along an index
_NEVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What every event in a filter has in common, as far as the filter says so outright: it is of one of `app_ids`, has one of
    `codes`, is of one of `kinds`. None: nothing is said."""

    app_ids: Collection[int]
    codes: tuple[str, ...] | None
    kinds: tuple[str, ...] | None


def narrowed(node: Node, known: Mapping[int, App]) -> Narrowed:
    """What `node` says outright, of the apps in `known`: for the choice of an index, and of what is looked through at all."""
    app_ids: Collection[int] = known
    for part in _parts(node):
        if _names(part) and _names(part) <= set(_OF_THE_APP):
            fitting = set(_apps_in(part, known))
            app_ids = [app_id for app_id in app_ids if app_id in fitting]
    return Narrowed(app_ids, one_of(node, "code"), one_of(node, "kind"))


def one_of(node: Node, name: str) -> tuple[str, ...] | None:
    """The values of which the text column has one, where the filter says so outright (`code:H12`, or `(code:H10 OR code:R10)`);
    None where it does not, or of too many."""
    return next((values for part in _parts(node) if (values := _values(part, name))), None)


def without(node: Node, name: str) -> Node:
    """What the filter says beyond `one_of(node, name)`."""
    said = next((part for part in _parts(node) if _values(part, name)), None)
    return _all_of([part for part in _parts(node) if part is not said])


def without_apps(node: Node) -> Node:
    """What the filter says beyond the `app_ids` of `narrowed`."""
    return _all_of([part for part in _parts(node) if not _names(part) or not _names(part) <= set(_OF_THE_APP)])


def where(node: Node, known: Mapping[int, App], columns: Columns = EVENTS) -> Condition:
    """The condition that is true of the events in `node`; `known` are the apps whose events are looked at. `columns` are those
    of the table of events, or what else is asked as if it were an event, by the names that those have."""
    match node:
        case of.Everything():
            return true()
        case of.And(nodes):
            return and_(*(where(one, known, columns) for one in nodes))
        case of.Or(nodes):
            return or_(*(where(one, known, columns) for one in nodes))
        case of.Not(inner):
            return where(inner, known, columns).is_not(true())
        case of.Text(text):
            return func.strpos(_lowered(columns["message"]), _ascii_lowered(text)) > 0
        case of.TextGlob(pattern):
            return _lowered(columns["message"]).like(_ascii_lowered(_like(f"*{pattern}*")))
    if node.name in _OF_THE_APP:
        return columns["app_id"] == any_(literal(_apps_in(node, known), ARRAY(Integer)))
    match node:
        case of.Equals(name, value):
            return _equals(columns, name, value)
        case of.Glob(name, pattern):
            return _glob(columns, name, pattern)
        case of.Has(name):
            return _has(columns, name)
        case of.Compare(name, operator, value):
            return _compare(columns, name, operator, value)


# -- what a filter says outright -------------------------------------------------------------------------------------


def _names(node: Node) -> set[str]:
    """The names that it asks about; `message` for a text."""
    match node:
        case of.And(nodes) | of.Or(nodes):
            return set().union(*map(_names, nodes))
        case of.Not(inner):
            return _names(inner)
        case of.Text() | of.TextGlob():
            return {"message"}
        case of.Everything():
            return set()
    return {node.name}


def _apps_in(node: Node, known: Mapping[int, App]) -> list[int]:
    """The apps whose events are in a filter that asks for nothing but the app and its environment."""
    fits = predicate(node)
    return [app_id for app_id, app in known.items() if fits(_some_event(app))]


def _some_event(app: App) -> Event:
    return Event(_NEVER, _NEVER, app.name, app.environment, "", "", None, "", None, Severity.INFO, "")


def _values(part: Node, name: str) -> tuple[str, ...]:
    alternatives = part.nodes if isinstance(part, of.Or) else (part,)
    values = {one.value: None for one in alternatives if isinstance(one, of.Equals) and one.name == name}
    all_say_it = all(isinstance(one, of.Equals) and one.name == name for one in alternatives)
    return tuple(values) if all_say_it and len(values) <= _FEW else ()


def _all_of(parts: list[Node]) -> Node:
    return of.And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else of.Everything()


def _parts(node: Node) -> tuple[Node, ...]:
    """What all must hold."""
    return node.nodes if isinstance(node, of.And) else (node,)


# -- an event's own columns and its fields ---------------------------------------------------------------------------


def _column(columns: Columns, name: str) -> ColumnElement[str]:
    """A text column; NULL where there is no value."""
    if name == "id":
        return cast(columns["id"], Text)
    if name == "process_type":
        dyno = columns["dyno"]
        return case((func.strpos(dyno, ".") > 0, func.split_part(dyno, ".", 1)), else_=func.split_part(dyno, "-", 1))
    return columns[name]


def _field(columns: Columns, name: str) -> ColumnElement[object]:
    """A field as JSON; NULL where there is none."""
    return columns["fields"].op("->")(literal(name, Text))


def _field_text(columns: Columns, name: str) -> ColumnElement[str]:
    """The text of a field, of a list its JSON; NULL where there is none, and for JSON's null."""
    return columns["fields"].op("->>", return_type=Text())(literal(name, Text))


def _type_of(columns: Columns, name: str) -> ColumnElement[str]:
    return func.jsonb_typeof(_field(columns, name))


def _equals(columns: Columns, name: str, value: str) -> Condition:
    if name == "flags":
        return literal(value, Text) == any_(columns["flags"])
    if name == "id":
        return columns["id"] == literal(UUID(value), Uuid) if _is_an_id(value) else false()
    if name in of.TEXT_COLUMNS:
        return _column(columns, name) == literal(value, Text)
    # jsonb_exists: the field is that text, or a list with it in it; or an object with such a key, which no field is.
    found: list[Condition] = [func.jsonb_exists(_field(columns, name), literal(value, Text))]
    if is_json_number(value):
        found.append(_field(columns, name) == func.to_jsonb(cast(literal(Decimal(value), Numeric), Numeric)))
    if value in ("true", "false"):
        found.append(_field(columns, name) == func.to_jsonb(literal_column(value)))
    return or_(*found)


def _is_an_id(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None


def _glob(columns: Columns, name: str, pattern: str) -> Condition:
    wanted = literal(_like(pattern), Text)
    if name == "flags":
        return _any_like(func.unnest(columns["flags"]), wanted)
    if name in of.TEXT_COLUMNS:
        return _column(columns, name).like(wanted)
    # Lists are few, and what looks into one costs more than the rest of the row.
    among = _any_like(func.jsonb_array_elements_text(_field(columns, name)), wanted)
    return case((_type_of(columns, name) == "array", among), else_=_field_text(columns, name).like(wanted))


def _any_like(items: FunctionElement[str], wanted: ColumnElement[str]) -> Condition:
    # Under its own name: a bare one would be that of whatever the condition stands in.
    among = items.table_valued("item").render_derived()
    return exists(
        select(literal_column("1")).select_from(among).where(among.c.item.like(wanted)).correlate_except(among)
    )


def _has(columns: Columns, name: str) -> Condition:
    if name == "flags":
        return func.cardinality(columns["flags"]) > 0
    if name == "process_type":
        return columns["dyno"].is_not(None)
    if name in of.COLUMNS:
        return columns[name].is_not(None)
    return and_(_type_of(columns, name) != "null", _field(columns, name) != literal_column("'[]'::jsonb"))


_OPERATORS: dict[str, Callable[[ColumnElement[object], object], Condition]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
}


def _compare(columns: Columns, name: str, operator: str, bound: Decimal | Severity | datetime) -> Condition:
    stands = _OPERATORS[operator]
    if isinstance(bound, Severity):
        return stands(columns["severity"], literal(int(bound), SmallInteger))
    if isinstance(bound, datetime):
        return stands(columns[name], literal(bound, TIMESTAMP(timezone=True)))
    if name == "flags":
        return false()
    text = _column(columns, name) if name in of.TEXT_COLUMNS else _field_text(columns, name)
    is_number: Condition = text.op("~", is_comparison=True)(literal(_NUMBER, Text))
    if name not in of.TEXT_COLUMNS:
        is_number = or_(_type_of(columns, name) == "number", and_(_type_of(columns, name) == "string", is_number))
    # A CASE, for only it says what is looked at first.
    return case((is_number, stands(cast(text, Numeric), literal(bound, Numeric))), else_=false())


# -- texts and patterns ----------------------------------------------------------------------------------------------


def _lowered(column: ColumnElement[str]) -> ColumnElement[str]:
    """With A to Z as a to z: the collation "C" knows no other letters."""
    lowered: ColumnElement[str] = func.lower(collate(column, "C"))
    return lowered


def _ascii_lowered(text: str) -> str:
    return text.encode().lower().decode()


def _like(pattern: str) -> str:
    r"""A glob as LIKE has it: `a*b?%` → `a%b_\%`."""
    escaped = re.sub(r"[%_\\]", r"\\\g<0>", pattern)
    return re.sub(r"\*+", "%", escaped).replace("?", "_")
