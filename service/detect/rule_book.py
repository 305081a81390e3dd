"""The rules in force: the built-in ones and the user's, each app's own where they are retuned for it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
class _Said:
    """One `[[rules]]` table and the file it stands in."""

    table: Mapping[str, Any]
    file: str


class RuleBook:
    """Every rule table there is; `for_app` gives the rules that hold for one app, read once and kept."""

    def __init__(self, own: Iterable[tuple[Mapping[str, Any], str]] = ()) -> None:
        """`own` are the user's tables with the file each stands in. Raises RuleError for the first wrong one."""
        built_in = tomllib.loads(files("service.detect").joinpath(BUILT_IN).read_text())["rules"]
        self._said = [_Said(table, BUILT_IN) for table in built_in]
        self._said += [_Said(table, file) for table, file in own]
        self._kept: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self._check()

    def for_app(self, app: str, environment: str) -> tuple[Rule, ...]:
        """The rules for an app, in the order they stand in the files."""
        if (app, environment) not in self._kept:
            self._kept[app, environment] = tuple(self._read(app, environment))
        return self._kept[app, environment]

    def _check(self) -> None:
        """Raises RuleError for the first wrong table, whichever apps it is for."""
        names: dict[str, Mapping[str, Any]] = {}
        inhibits: list[tuple[str, Rule]] = []
        for said in self._said:
            name = said.table.get("name")
            if not isinstance(name, str) or not name:
                raise RuleError(f"{said.file}: rule (without a name): name: missing; expected text")
            if name not in names and "detector" not in said.table:
                raise RuleError(f'{said.file}: rule {name}: name: "{name}"; expected {_a_known_one(name, names)}')
            names[name] = _retuned(names.get(name, {}), said.table)
            inhibits.append((said.file, read_rule(names[name], file=said.file)))
        for file, rule in inhibits:
            for other in rule.inhibits:
                if other not in names:
                    raise RuleError(f'{file}: rule {rule.name}: inhibits: "{other}"; expected the name of a rule')

    def _read(self, app: str, environment: str) -> Iterable[Rule]:
        tables: dict[str, _Said] = {}
        for said in self._said:
            table = said.table
            if not fnmatchcase(app, table.get("app", "*")) or table.get("environment", environment) != environment:
                continue
            before = tables[table["name"]].table if table["name"] in tables else {}
            tables[table["name"]] = _Said(_retuned(before, table), said.file)
        for said in tables.values():
            if said.table.get("enabled", True) and "detector" in said.table:
                yield read_rule(said.table, file=said.file)


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
