r"""The filter language: text → tree.

    filter = [ any ]                       any  = all { "OR" all }            all = one { one }
    one    = { "-" | "NOT" } ( "(" any ")" | name ":" value | name operator operand | quoted | word )

It is written so that the next character says which way to go on: nothing is tried twice, and a hostile text costs no more
than its length. What nests or repeats is counted before the grammar runs, because pyparsing recurses with the nesting.

Decided here, where the language leaves room:

- A *word* is a run of anything but white space, `"`, `(` and `)`. So a value may hold `:`, `<`, `=` (`path:/a:b`), and
  `code=H12` is text to be found, as it stands in logfmt. A word that does not begin as a name does is text: `12:30`, `/a:b`.
- `name:*` asks whether there is a value; `*` alone is everything; `""` is found in every message, so it is everything too.
- Only `\"` and `\\` are escapes, in quotes only: `"C:\temp"` is what it looks like.
- `-` negates at the beginning of a term; inside a word (`raxx-api`) it is a letter. Two of them undo each other.
- A quoted text, a word or a value ends at a space, at `)` or at the end: `path:/a"b"` is an error and not two terms.
- What would silently mean something else is an error: `AND`, `name: value`, `name :value`, `name > 5`, `name:>5`, a lone `-`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import cast

from pyparsing import (
    Forward,
    ParseBaseException,
    ParseFatalException,
    ParserElement,
    ParseResults,
    Regex,
)

from parsers.event import Severity
from parsers.filters.tree import (
    NAME,
    NUMBER,
    TIME_COLUMNS,
    And,
    Compare,
    Equals,
    Everything,
    Glob,
    Has,
    Node,
    Not,
    Operator,
    Or,
    Text,
    TextGlob,
    is_pattern,
)

MAX_LENGTH = 8192  # characters; the longest built-in filter has some 100
MAX_DEPTH = 32  # parentheses in each other; each costs the grammar 12 of Python's 1000 frames
MAX_TERMS = 256  # words, values and parentheses: room for a list of ids that a program made; 25 ms of parsing

_A_TERM = "a term such as code:H12, service_ms>5000 or a word"
_SEVERITIES = "a severity: " + ", ".join(one.label for one in Severity)


class FilterError(ValueError):
    """A filter cannot be read. `column` is where, in characters from 1; `expected` is what should stand there; `str()` is
    both as a sentence."""

    def __init__(self, *, column: int, expected: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.expected = expected
        self.message = message


def parse_filter(text: str) -> Node:
    """The tree of a filter; of an empty one, Everything(). Raises FilterError for the first thing that is wrong.

    Linear in the text's length, within MAX_LENGTH, MAX_DEPTH and MAX_TERMS.
    """
    _keep_bounds(text)
    if not text.strip():
        return Everything()
    try:
        return cast(Node, _FILTER.parse_string(text, parse_all=True)[0])
    except ParseBaseException as error:
        raise _wrong(text, error.loc, error.msg.removeprefix("Expected ")) from None


# -- bounds ----------------------------------------------------------------------------------------------------------

_PIECES = re.compile(r'"(?:[^"\\]|\\.)*(?P<closed>"?)|(?P<bracket>[()])|[^\s"()]+', re.DOTALL)
# Neither can be kept by Postgres, so neither can be found there: U+0000, and halves of surrogate pairs.
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")


def _keep_bounds(text: str) -> None:
    if len(text) > MAX_LENGTH:
        expected = f"at most {MAX_LENGTH} characters"
        message = f"The filter has {len(text)} characters; expected {expected}."
        raise FilterError(column=MAX_LENGTH + 1, expected=expected, message=message)
    if unkeepable := _UNKEEPABLE.search(text):
        raise _wrong(text, unkeepable.start(), "text that can be stored")
    opened: list[int] = []
    terms = 0
    for piece in _PIECES.finditer(text):
        terms += piece[0] not in ("OR", ")")
        if terms > MAX_TERMS:
            raise _wrong(text, piece.start(), f"at most {MAX_TERMS} words, values and parentheses")
        if piece["bracket"] == "(":
            opened.append(piece.start())
            if len(opened) > MAX_DEPTH:
                raise _wrong(text, piece.start(), f"at most {MAX_DEPTH} parentheses in each other")
        elif piece["bracket"] == ")":
            if not opened:
                raise _wrong(text, piece.start(), "a term or the end, for no parenthesis is open")
            opened.pop()
        elif piece["closed"] == "":
            raise _wrong(text, len(text), f"a closing quote for the one at column {piece.start() + 1}")
    if opened:
        raise _wrong(text, len(text), f'")" for the "(" at column {opened[-1] + 1}')


def _wrong(text: str, at: int, expected: str) -> FilterError:
    found = _PIECES.match(text, at)
    seen = f"found {found[0][:40]!r}" if found else "found the end" if at == len(text) else "found a space"
    message = f"The filter is wrong at column {at + 1}: expected {expected}, {seen}."
    return FilterError(column=at + 1, expected=expected, message=message)


# -- what a term says ------------------------------------------------------------------------------------------------
# A value is read by its place: `at` is where it begins, `bare` tells a word from what stood in quotes.


def _value_term(name: str, value: str, *, bare: bool, at: int, text: str) -> Node:
    """`name:value`."""
    if bare and value.strip("*") == "":
        return Has(name)
    if name == "severity":
        return Compare(name, "=", _severity(value, at, text))
    if name in TIME_COLUMNS:
        return Compare(name, "=", _time(value, at, text))
    if bare and value[0] in "<>=":
        raise ParseFatalException(text, at, f"a value, in quotes if it begins so; a comparison is written {name}>5")
    return Glob(name, value) if bare and is_pattern(value) else Equals(name, value)


def _comparison(name: str, operator: Operator, value: str, *, bare: bool, at: int, text: str) -> Node:
    """`name>=value`."""
    if name == "severity":
        return Compare(name, operator, _severity(value, at, text))
    if name in TIME_COLUMNS:
        return Compare(name, operator, _time(value, at, text))
    if not bare or not re.fullmatch(NUMBER, value):
        raise ParseFatalException(text, at, "a number such as 5000 or 0.5, without a unit")
    return Compare(name, operator, Decimal(value))


def _word(word: str, *, at: int, text: str) -> Node:
    if word[0] in ":<>=":
        raise ParseFatalException(text, at, f'a name right before "{word[0]}", or the text in quotes')
    if word[0] == "-":
        raise ParseFatalException(text, at, 'a term right after "-", or the text in quotes')
    if word == "AND":
        raise ParseFatalException(text, at, 'a space, which is AND; the word itself is written "AND", in quotes')
    if not is_pattern(word):
        return _text(word)
    pattern = word.strip("*")
    return TextGlob(pattern) if is_pattern(pattern) else _text(pattern)


def _text(text: str) -> Node:
    return Text(text) if text else Everything()


def _severity(value: str, at: int, text: str) -> Severity:
    try:
        return Severity.of(value)
    except KeyError:
        raise ParseFatalException(text, at, _SEVERITIES) from None


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _time(value: str, at: int, text: str) -> datetime:
    """RFC 3339 §5.6, to the microsecond; what is finer is cut off."""
    try:
        if _RFC_3339.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ParseFatalException(text, at, 'a time such as "2026-05-11T12:00:00Z", in quotes') from None


def _unquoted(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted[1:-1])


# -- the grammar -----------------------------------------------------------------------------------------------------

_SPACE = "".join(
    filter(str.isspace, map(chr, range(0x3001)))
)  # what `\s` means: a pasted no-break space is a space too


def _token(pattern: str) -> ParserElement:
    """What fits `pattern` after any white space."""
    return Regex(pattern, re.DOTALL).set_whitespace_chars(_SPACE)


def _adjoined(pattern: str, name: str) -> ParserElement:
    """What fits `pattern` right here; `name` is what an error says to expect."""
    return Regex(pattern, re.DOTALL).leave_whitespace().set_name(name)


def _all(found: Sequence[Node]) -> Node:
    return found[0] if len(found) == 1 else And(tuple(found))


def _any(found: Sequence[Node]) -> Node:
    return found[0] if len(found) == 1 else Or(tuple(found))


def _signed(found: Sequence[Node | str]) -> Node:
    """The node at the end of some negations, each of them some `-` or a `NOT`, which count by their odd lengths alike."""
    *signs, node = found
    odd = sum(len(cast(str, sign)) for sign in signs) % 2
    return Not(cast(Node, node)) if odd else cast(Node, node)


def _field(text: str, _at: int, found: ParseResults) -> Node:
    begin, (at, value) = found
    bare = not value.startswith('"')
    value = value if bare else _unquoted(value)
    make = _value_term if begin["operator"] == ":" else partial(_comparison, operator=begin["operator"])
    return make(begin["name"], value=value, bare=bare, at=at, text=text)


def _grammar() -> ParserElement:
    """The whole language. `a - b` is pyparsing's "b must come now", which ends the parse where it does not."""
    quotes = r'"(?:[^"\\]|\\.)*"'
    word = r'[^\s"()]+'
    end = _adjoined(r"(?=[\s)]|\Z)", "a space, or all of the text in quotes").suppress()
    value = _adjoined(f"{quotes}|{word}", "a value right after the name, or all of the text in quotes")
    value.add_parse_action(lambda _text, at, found: [(at, found[0])])
    begin = Regex(rf"(?P<name>{NAME})(?P<operator>:|[<>]=?)", as_match=True).set_whitespace_chars(_SPACE)
    field = (begin - value).add_parse_action(_field)
    quoted = _token(quotes).add_parse_action(lambda found: _text(_unquoted(found[0])))
    bare = _token(rf"(?!OR(?:[\s()]|\Z)){word}")
    bare.add_parse_action(lambda text, at, found: _word(found[0], at=at, text=text))

    alternatives = Forward().set_name(_A_TERM)
    group = _token(r"\(").suppress() - alternatives - _token(r"\)").suppress()
    term = (group | (field | quoted | bare) - end).set_name(_A_TERM)
    negation = _token(r'-+(?=[^\s)-])|NOT(?=[\s()"]|\Z)')
    signed = (negation[1, ...] - term | term).add_parse_action(_signed).set_name(_A_TERM)
    row = signed[1, ...].add_parse_action(_all)
    alternatives <<= (row + (_token("OR").suppress() - row)[...]).add_parse_action(_any)
    return cast(Forward, alternatives).parse_with_tabs()  # a tab in quotes is meant; by default it becomes spaces


_FILTER = _grammar()
