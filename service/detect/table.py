"""Reads one table of TOML field by field, so that whatever is wrong in it is said by file, rule, field and value."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

_SPAN = re.compile(r"(\d+)(s|m|h|d)", re.ASCII)
_A_SPAN = 'a time such as "30s", "5m", "2h" or "7d"'
_LONGEST = timedelta(days=365)
_MOST = 1e15  # beyond it neighbouring numbers are no longer apart; infinity and NaN are no numbers here
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class RuleError(ValueError):
    """A rule cannot be used; `str()` is one line: `file: rule: field: value; expected …`."""


class Table:
    """One table; `where` names it in errors. Each method takes a field; `no_more` raises for what nobody took."""

    def __init__(self, fields: Mapping[str, Any], *, where: str) -> None:
        self._fields = fields
        self._where = where
        self._taken: set[str] = set()

    def wrong(self, field: str, value: object, expected: str) -> RuleError:
        """The error for `field`; a `value` of None says that it is missing."""
        shown = "missing" if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
        return RuleError(f"{self._where}: {field}: {shown}; expected {expected}")

    def _take(self, field: str) -> Any:
        self._taken.add(field)
        return self._fields.get(field)

    def optional_text(self, field: str) -> str | None:
        value = self._take(field)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(field, value, "text")
        return value

    def text(self, field: str) -> str:
        value = self.optional_text(field)
        if value is None:
            raise self.wrong(field, None, "text")
        return value

    def one_of(self, field: str, choices: Iterable[str]) -> str:
        value, choices = self._take(field), tuple(choices)
        if value not in choices:
            raise self.wrong(field, value, "one of " + ", ".join(choices))
        return str(value)

    def number(self, field: str, *, default: float | None = None, least: float = 0, most: float = _MOST) -> float:
        value = self._take(field)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            bounds = f"{least} or more" if most == _MOST else f"from {least} to {most}"
            raise self.wrong(field, value, f"a number, {bounds}")
        return value

    def flag(self, field: str, *, default: bool) -> bool:
        value = self._take(field)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.wrong(field, value, "true or false")
        return value

    def optional_span(self, field: str) -> timedelta | None:
        value = self._take(field)
        if value is None:
            return None
        found = _SPAN.fullmatch(value) if isinstance(value, str) else None
        if found is None or int(found[1]) == 0:
            raise self.wrong(field, value, _A_SPAN)
        if len(found[1]) > 9 or (span := timedelta(**{_UNITS[found[2]]: int(found[1])})) > _LONGEST:
            raise self.wrong(field, value, "365d at the most")
        return span

    def span(self, field: str) -> timedelta:
        value = self.optional_span(field)
        if value is None:
            raise self.wrong(field, None, _A_SPAN)
        return value

    def texts(self, field: str) -> tuple[str, ...] | None:
        value = self._take(field)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(field, value, "a list of texts")
        return tuple(value)

    def table(self, field: str) -> "Table | None":
        value = self._take(field)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(field, value, "a table")
        return Table(value, where=f"{self._where}: {field}")

    def tables(self, field: str) -> list["Table"]:
        value = self._take(field)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(field, value, "a list of tables")
        return [Table(one, where=f"{self._where}: {field}[{number}]") for number, one in enumerate(value)]

    def no_more(self) -> None:
        """Raises for the first field that nothing has asked for, with the nearest one that is known."""
        for field in self._fields:
            if field not in self._taken:
                near = get_close_matches(field, self._taken, n=1)
                expected = f"no such field; did you mean {near[0]}?" if near else "no such field"
                raise RuleError(f"{self._where}: {field}: {expected}")
