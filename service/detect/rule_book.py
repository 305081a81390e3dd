"""The rules in force: the built-in ones and the user's, each app's own where they are retuned for it."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

from service.detect.rule import Rule, read_rule
from service.detect.table import RuleError

BUILT_IN = "rules.toml"

# A field that says the same as others takes their place when a rule is retuned.
_INSTEAD = {"count": ("levels",), "levels": ("count", "severity"), "sum": ("distinct",), "distinct": ("sum",)}


@dataclass(frozen=True, slots=True)
class Said:
    """What the files say of a rule: its fields, and the file that each of them stands in. `limited` are tables with which it is
    another for some apps or one environment only."""

    fields: Mapping[str, Any]
    sources: Mapping[str, str]
    limited: tuple["Said", ...] = field(default=())

    @property
    def is_on(self) -> bool:
        """Whether it is in force."""
        return bool(self.fields.get("enabled", True)) and "detector" in self.fields


class RuleBook:
    """Every rule table there is; `for_app` gives the rules that hold for one app, read once and kept."""

    def __init__(self, own: Iterable[tuple[Mapping[str, Any], str]] = ()) -> None:
        """`own` are the user's tables with the file each stands in. Raises RuleError for the first wrong one."""
        self._tables = _tables(own)
        # Reading takes 25 ms, and there may be a thousand apps, for nearly all of which the same tables apply.
        self._kept: dict[tuple[bool, ...], tuple[Rule, ...]] = {}
        for error in _errors(self._tables):
            raise error

    @staticmethod
    def errors(own: Iterable[tuple[Mapping[str, Any], str]]) -> list[RuleError]:
        """Everything that is wrong in the user's tables: of each table the first thing."""
        return list(_errors(_tables(own)))

    def for_app(self, app: str, environment: str) -> tuple[Rule, ...]:
        """The rules for an app, in the order they stand in the files."""
        applying = tuple(_applies(table, app, environment) for table, _ in self._tables if _is_limited(table))
        if applying not in self._kept:
            said = self.said(app=app, environment=environment).values()
            self._kept[applying] = tuple(read_rule(one.fields, file=_last(one)) for one in said if one.is_on)
        return self._kept[applying]

    def said(self, *, app: str | None = None, environment: str | None = None) -> dict[str, Said]:
        """What is said of each rule, on or off, as it holds for an app; without one as it holds where no table says
        otherwise."""

        def applies(table: Mapping[str, Any]) -> bool:
            return not _is_limited(table) if app is None else _applies(table, app, environment)

        return _merged(self._tables, applies)


def _tables(own: Iterable[tuple[Mapping[str, Any], str]]) -> list[tuple[Mapping[str, Any], str]]:
    built_in = tomllib.loads(files("service.detect").joinpath(BUILT_IN).read_text())["rules"]
    return [*((table, BUILT_IN) for table in built_in), *own]


def _errors(tables: Iterable[tuple[Mapping[str, Any], str]]) -> Iterable[RuleError]:
    """What is wrong, whichever apps it is for; a table that is wrong changes nothing for those behind it."""
    known: dict[str, Mapping[str, Any]] = {}
    inhibits: list[tuple[str, Rule]] = []
    for table, file in tables:
        name = table.get("name")
        if not isinstance(name, str) or not name:
            yield RuleError(f"{file}: rule (without a name): name: missing; expected text")
        elif name not in known and "detector" not in table:
            yield RuleError(f'{file}: rule {name}: name: "{name}"; expected {_a_known_one(name, known)}')
        else:
            retuned = _retuned(known.get(name, {}), table)
            try:
                inhibits.append((file, read_rule(retuned, file=file)))
            except RuleError as error:
                yield error
            else:
                known[name] = retuned
    for file, rule in inhibits:
        for other in rule.inhibits:
            if other not in known:
                yield RuleError(f'{file}: rule {rule.name}: inhibits: "{other}"; expected the name of a rule')


def _merged(
    tables: Iterable[tuple[Mapping[str, Any], str]], applies: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Said]:
    merged: dict[str, Said] = {}
    for table, file in tables:
        name = table["name"]
        before = merged.get(name, Said({}, {}))
        here = dict.fromkeys(table, file)
        if applies(table):
            fields = _retuned(before.fields, table)
            sources = {one: here.get(one) or before.sources.get(one, file) for one in fields}
            merged[name] = Said(fields, sources, before.limited)
        elif _is_limited(table):
            merged[name] = Said(before.fields, before.sources, (*before.limited, Said(table, here)))
    return merged


def _is_limited(table: Mapping[str, Any]) -> bool:
    return "app" in table or "environment" in table


def _applies(table: Mapping[str, Any], app: str, environment: str | None) -> bool:
    return fnmatchcase(app, table.get("app", "*")) and table.get("environment", environment) == environment


def _last(said: Said) -> str:
    """The file to name for what is wrong: the one that spoke last."""
    return next((file for file in said.sources.values() if file != BUILT_IN), BUILT_IN)


def _a_known_one(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return (f"{near[0]}" if near else "the name of a rule to retune") + ", or a detector for a new rule"


def _retuned(before: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the fields of `table` in place of its own."""
    replaced = {other for field in table for other in _INSTEAD.get(field, ())}
    kept = {field: value for field, value in before.items() if field not in replaced}
    if "levels" in before and "count" in table and "severity" not in {**kept, **table}:
        kept["severity"] = before["levels"][0]["severity"]
    return {**kept, **table}
