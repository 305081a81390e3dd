"""A rule's JSON: what it says, and which file each of its fields comes from."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from parsers.event import Severity
from service.detect.rule_book import BUILT_IN, Said


class FieldJson(TypedDict):
    """One field of a rule's table, and where it stands: `built-in`, or a file's name."""

    field: str
    value: Any
    source: str


class LimitedJson(TypedDict):
    """What is said of a rule for the apps of this glob, or this environment, only."""

    app: str | None
    environment: str | None
    fields: list[FieldJson]


class RuleJson(TypedDict):
    """A rule. `severity` is the worst that its incidents may have, `sources` are the files that say something of it; `limited`:
    what is said of it where it does not hold for all that was asked for."""

    name: str
    enabled: bool
    detector: str
    severity: str
    title: str
    inhibits: list[str]
    runbook: str | None
    sources: list[str]
    fields: list[FieldJson]
    limited: list[LimitedJson]


def rule_json(name: str, said: Said) -> RuleJson:
    """The JSON of what is said of a rule."""
    fields = said.fields
    return {
        "name": name,
        "enabled": said.is_on,
        "detector": fields.get("detector", ""),
        "severity": worst(fields).label,
        "title": fields.get("title", ""),
        "inhibits": list(fields.get("inhibits", ())),
        "runbook": fields.get("runbook"),
        "sources": sorted({_source(file) for file in said.sources.values()}, key=lambda file: file != "built-in"),
        "fields": _fields(said),
        "limited": [
            {"app": one.fields.get("app"), "environment": one.fields.get("environment"), "fields": _fields(one)}
            for one in said.limited
        ],
    }


def worst(fields: Mapping[str, Any]) -> Severity:
    """The worst severity that a rule's table names."""
    tables: Sequence[Mapping[str, Any]] = (fields, fields.get("at_once", {}), *fields.get("levels", ()))
    return max((Severity.of(one["severity"]) for one in tables if "severity" in one), default=Severity.INFO)


def _fields(said: Said) -> list[FieldJson]:
    return [
        {"field": field, "value": value, "source": _source(said.sources[field])}
        for field, value in said.fields.items()
        if field != "name"
    ]


def _source(file: str) -> str:
    return "built-in" if file == BUILT_IN else file
