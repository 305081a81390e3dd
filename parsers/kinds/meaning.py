"""What a line means: the part of an event that the line's own text gives."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from parsers.event import FieldValue, Severity


class Meaning(NamedTuple):  # as a Line is
    """The kind of event that a line is, with what was read from its text. `dyno` is None where it is about none."""

    kind: str
    severity: Severity
    code: str | None = None
    dyno: str | None = None
    fields: Mapping[str, FieldValue] = MappingProxyType({})
    flags: tuple[str, ...] = ()
