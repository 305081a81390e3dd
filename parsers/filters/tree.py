"""The tree of a filter: what each node says of an event, and the text that a tree was or could have been read from.

Each node's docstring is its whole meaning, once for every backend (a function of an event, SQL over the table of events);
nodes are made valid at birth, so that a backend has no wrong tree to think about.

Names. A name in `COLUMNS` is the event's own; any other is looked up in
`fields`, also where no event ever had it. Values that are None or absent are *no value*. The *texts* of a value are: the
text itself; a number in decimal digits without exponent (`503`, `0.25`); `true` or `false`; an id in lower-case hex with
dashes; each item of a list. Every node is true or false of every event, and `Not` is the complement.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from parsers.event import Severity

TEXT_COLUMNS = frozenset(
    {"id", "app", "environment", "source", "process", "process_type", "dyno", "kind", "code", "message"}
)
TIME_COLUMNS = frozenset({"ts", "received_at"})
COLUMNS = TEXT_COLUMNS | TIME_COLUMNS | {"severity", "flags"}

# ASCII alone, so that a word in any script is text; `#`, `.` and `-` for names such as `sample#memory_total`.
NAME = r"[A-Za-z_][A-Za-z0-9_.#-]*"
# 30 digits on each side: more than any measure has, and far from where an exact number becomes costly to a database.
NUMBER = r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?"
RESERVED = ("OR", "NOT", "AND")

Operator = Literal["<", "<=", "=", ">=", ">"]


@dataclass(frozen=True, slots=True)
class Everything:
    """True of every event: the empty filter, and `*`."""


@dataclass(frozen=True, slots=True)
class Text:
    """`text` (not empty) occurs in the message; the letters A to Z count as a to z, all others as themselves."""

    text: str

    def __post_init__(self) -> None:
        _hold(self.text != "", "a text is not empty; what is found everywhere is Everything()")


@dataclass(frozen=True, slots=True)
class TextGlob:
    """Some stretch of the message fits `pattern`, wherever it stands: `*` is any run of characters, also none, also of
    spaces and newlines, `?` is one. Letters as in `Text`. It neither begins nor ends with `*`, which would say nothing."""

    pattern: str

    def __post_init__(self) -> None:
        _hold(is_pattern(self.pattern) and self.pattern.strip("*") == self.pattern, "a glob is one bare word")


@dataclass(frozen=True, slots=True)
class Equals:
    """One of the value's texts is exactly `value`, letter by letter; or the value is a number, and `value` is one that is
    equal to it (`503` is `503.0`, but `0503` is only a text). False where there is no value."""

    name: str
    value: str

    def __post_init__(self) -> None:
        _hold_name(self.name)
        _hold(
            self.name not in TIME_COLUMNS and self.name != "severity", f"{self.name} is compared with Compare(…, '=')"
        )


@dataclass(frozen=True, slots=True)
class Glob:
    """One of the value's texts fits `pattern` as a whole, letter by letter; `*` and `?` as in `TextGlob`, so `*` runs over
    `/` too. False where there is no value."""

    name: str
    pattern: str

    def __post_init__(self) -> None:
        _hold_name(self.name)
        _hold(self.name not in TIME_COLUMNS and self.name != "severity", f"{self.name} has no pattern")
        _hold(
            is_pattern(self.pattern) and self.pattern.strip("*") != "", "a glob is one bare word, and more than stars"
        )


@dataclass(frozen=True, slots=True)
class Has:
    """There is a value: not None, and no empty list. The empty text, 0 and false are values."""

    name: str

    def __post_init__(self) -> None:
        _hold_name(self.name)


@dataclass(frozen=True, slots=True)
class Compare:
    """The value stands to `value` as `operator` says. `severity` compares with a severity, by rank; a time column with a
    time; any other name with a number, where the value is a number or a text that fits `NUMBER` whole, exactly and not as
    floating point. False where there is no value, and where it is true, false, a list or any other text. `=` is for
    severities and times; numbers have `Equals`."""

    name: str
    operator: Operator
    value: Decimal | Severity | datetime

    def __post_init__(self) -> None:
        _hold_name(self.name)
        if self.name == "severity":
            _hold(isinstance(self.value, Severity), "severity compares with a severity")
        elif self.name in TIME_COLUMNS:
            _hold(
                isinstance(self.value, datetime) and self.value.tzinfo is not None, "a time column needs an aware time"
            )
        else:
            _hold(isinstance(self.value, Decimal) and self.operator != "=", f"{self.name} is ordered by numbers")
            _hold(re.fullmatch(NUMBER, f"{self.value:f}") is not None, "a number has up to 30 digits on each side")


@dataclass(frozen=True, slots=True)
class Not:
    """True exactly where `node` is false; so an event without the field is in `Not(Equals(…))`."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """True where all of `nodes` (two or more) are."""

    nodes: "tuple[Node, ...]"

    def __post_init__(self) -> None:
        _hold(len(self.nodes) > 1, "And has two nodes or more")


@dataclass(frozen=True, slots=True)
class Or:
    """True where any of `nodes` (two or more) is."""

    nodes: "tuple[Node, ...]"

    def __post_init__(self) -> None:
        _hold(len(self.nodes) > 1, "Or has two nodes or more")


Node = Everything | Text | TextGlob | Equals | Glob | Has | Compare | Not | And | Or


def is_pattern(word: str) -> bool:
    """Whether `word` is a bare word with a glob in it."""
    return re.fullmatch(r'[^\s"()]*[*?][^\s"()]*', word) is not None


def _hold(valid: bool, expected: str) -> None:
    if not valid:
        raise ValueError(expected)


def _hold_name(name: str) -> None:
    _hold(re.fullmatch(NAME, name) is not None, f"{name!r} is no name")


# -- tree → text -----------------------------------------------------------------------------------------------------


_PLAIN_WORD = re.compile(r"\w[\w./-]*")
_PLAIN_VALUE = re.compile(r"[\w./:@#-]+")


def render(node: Node) -> str:
    """The text of a tree, in one canonical form: `parse_filter(render(node)) == node`, within the bounds of a filter."""
    match node:
        case Or(nodes):
            return " OR ".join(_within(one, Or) for one in nodes)
        case And(nodes):
            return " ".join(_within(one, Or, And) for one in nodes)
        case Not(inner):
            return "-" + _within(inner, Or, And, Not)
        case Everything():
            return "*"
        case Text(text):
            return text if _PLAIN_WORD.fullmatch(text) and text not in RESERVED else quoted(text)
        case TextGlob(pattern):
            return f"*{pattern}"  # it fits anywhere; without the star `:*a` or `-*a` would be something else
        case Equals(name, value):
            return f"{name}:{value if _PLAIN_VALUE.fullmatch(value) else quoted(value)}"
        case Glob(name, pattern):
            return f"{name}:{pattern}"
        case Has(name):
            return f"{name}:*"
        case Compare(name, operator, value):
            return f"{name}{':' if operator == '=' else operator}{_operand(value)}"


def quoted(text: str) -> str:
    r"""`text` as a filter's quoted text, with `"` and `\` escaped: what to put into a filter that is made by a program."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _within(node: Node, *looser: type) -> str:
    return f"({render(node)})" if isinstance(node, looser) else render(node)


def _operand(value: Decimal | Severity | datetime) -> str:
    match value:
        case Severity():
            return value.label
        case datetime():
            return quoted(value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z")
    return f"{value:f}"
