"""Texts with names in braces, as rules are written: `"{count} payments declined in {app}"`."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"\{(\w+)\}")


def names_in(template: str) -> set[str]:
    """`"{a} of {b}"` → {"a", "b"}."""
    return set(_NAME.findall(template))


def fill(template: str, values: Mapping[str, object]) -> str:
    """`template` with each `{name}` replaced by its value; a name without a value stays as it is, braces and all."""
    return _NAME.sub(lambda found: str(values.get(found[1], found[0])), template)


def fill_filter(template: str, values: Mapping[str, object]) -> str | None:
    """A filter's `template` with each value as quoted text, whatever it holds; None where a value is missing."""
    if any(values.get(name) is None for name in names_in(template)):
        return None
    return _NAME.sub(lambda found: _quoted(str(values[found[1]])), template)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
