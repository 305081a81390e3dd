"""Whether JSON has a shape: a small language for schemas, as much of it as the services' documents need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text of 1 to `most` UTF-16 units; one of `choices` where there are any."""

    most: int = 10_000
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number up to `most`."""

    most: int


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Texts:
    """An object of any names whose values are texts."""


@dataclass(frozen=True, slots=True)
class Exactly:
    """That value and no other."""

    value: object


@dataclass(frozen=True, slots=True)
class List:
    """1 to `most` of one shape; `least` may allow none."""

    of: Any
    most: int
    least: int = 1


@dataclass(frozen=True, slots=True)
class OneOf:
    """The shape that the value's `type` names."""

    by_type: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Object:
    """These members and no other: `required` ones, and `optional` ones. `check` says what is wrong with the whole, or None."""

    required: Mapping[str, Any]
    optional: Mapping[str, Any] | None = None
    check: Callable[[Any], str | None] = lambda _: None


def wrong(value: Any, shape: Any, at: str = "$") -> list[str]:
    """What is wrong with `value`; nothing where it has the shape."""
    match shape:
        case Text():
            if not isinstance(value, str):
                return [f"{at} is no text"]
            length = len(value.encode("utf-16-le")) // 2
            if not 1 <= length <= shape.most:
                return [f"{at} has {length} characters, not 1 to {shape.most}"]
            return [] if not shape.choices or value in shape.choices else [f"{at} is {value!r}"]
        case Whole():
            good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= shape.most
            return [] if good else [f"{at} is {value!r}"]
        case Truth():
            return [] if isinstance(value, bool) else [f"{at} is {value!r}"]
        case Texts():
            good = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
            return [] if good else [f"{at} is no object of texts"]
        case Exactly():
            return [] if value == shape.value else [f"{at} is {value!r}, not {shape.value!r}"]
        case List():
            if not isinstance(value, list) or not shape.least <= len(value) <= shape.most:
                return [f"{at} is no list of {shape.least} to {shape.most}"]
            return [one for n, item in enumerate(value) for one in wrong(item, shape.of, f"{at}[{n}]")]
        case OneOf():
            named = value.get("type") if isinstance(value, dict) else None
            return wrong(value, shape.by_type[named], at) if named in shape.by_type else [f"{at} is of type {named!r}"]
        case Object():
            if not isinstance(value, dict):
                return [f"{at} is no object"]
            known = {**shape.required, **(shape.optional or {})}
            found = [f"{at}.{name} is missing" for name in shape.required if name not in value]
            found += [f"{at}.{name} is not documented" for name in value if name not in known]
            found += [one for name in value if name in known for one in wrong(value[name], known[name], f"{at}.{name}")]
            said = shape.check(value) if not found else None
            return [*found, f"{at}: {said}"] if said else found
    raise TypeError(shape)
