"""What a line means: the part of an event that the line's own text gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from parsers.event import FieldValue, Severity


@dataclass(frozen=True, slots=True)
class Meaning:
    """The kind of event that a line is, with what was read from its text. `dyno` is None where it is about none."""

    kind: str
    severity: Severity
    code: str | None = None
    dyno: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
