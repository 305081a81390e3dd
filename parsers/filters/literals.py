"""What must occur in a line for it to be in a filter: so that most of what is kept need not even be split into lines.

A requirement is a few byte strings of which one occurs in the line as it was sent, A to Z written as a to z. It is *necessary*
and no more: whoever has found it still asks the predicate. Where nothing is known to be necessary there is no requirement.
"""

import re
from collections.abc import Iterable

from parsers.filters import tree
from parsers.filters.tree import And, Equals, Glob, Node, Not, Or, Text, TextGlob

Requirement = tuple[bytes, ...]

# Columns whose text stands in the line as it is. An id, an app and an environment are told by no line.
_AS_WRITTEN = frozenset({"source", "process", "process_type", "dyno", "code", "message"})
# What is looked up in a field may have been converted (`service=30001ms`), named by a reader (`action: deploy`) or escaped in
# the line (`\/`, `é`). What has letters and digits and nothing else, as ids and hashes have, is written as it is.
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{6,}", re.ASCII)
# U+FFFD stands for bytes that are no UTF-8, and for NUL: nobody knows which.
_UNREADABLE = "\ufffd"
_FEW = 16  # alternatives; more are not worth looking for one by one


def must_occur(node: Node) -> tuple[Requirement, ...]:
    """Of each requirement one alternative occurs, lowered, in the lowered bytes of a line that is in the filter; the longest
    first. Empty where nothing must."""
    found = dict.fromkeys(_requirements(node))
    return tuple(sorted(found, key=lambda one: -min(map(len, one))))


def _requirements(node: Node) -> Iterable[Requirement]:
    match node:
        case And(nodes):
            return [one for inner in nodes for one in _requirements(inner)]
        case Or(nodes):
            return _either([must_occur(inner) for inner in nodes])
        case Text(text):
            return _written(text.split(_UNREADABLE))
        case TextGlob(pattern):
            return _written(re.split(f"[*?{_UNREADABLE}]", pattern))
        case Equals(name, value) if name in _AS_WRITTEN:
            return _written(value.split(_UNREADABLE))
        case Glob(name, pattern) if name in _AS_WRITTEN:
            return _written(re.split(f"[*?{_UNREADABLE}]", pattern))
        case Equals(name, value) if name not in tree.COLUMNS:
            return _written(_identifiers(value))
        case Glob(name, pattern) if name not in tree.COLUMNS:
            return _written([one for part in re.split("[*?]", pattern) for one in _identifiers(part)])
        case Not() | _:
            return ()


def _either(each: list[tuple[Requirement, ...]]) -> list[Requirement]:
    """One of some filters holds, so one of all their best requirements' alternatives occurs; unless one of them has none."""
    together = tuple(dict.fromkeys(one for requirements in each for one in (requirements[0] if requirements else ())))
    return [together] if all(each) and len(together) <= _FEW else []


def _written(pieces: Iterable[str]) -> list[Requirement]:
    return [(piece.encode("utf-8", "surrogatepass").lower(),) for piece in pieces if piece]


def _identifiers(text: str) -> list[str]:
    found: list[str] = _IDENTIFIER.findall(text)
    return [one for one in found if re.search("[0-9]", one) and re.search("[A-Za-z]", one)]
