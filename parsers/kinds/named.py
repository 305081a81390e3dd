"""Kinds given as data: an app's lines, by the name of the event in them, become events of a kind (`[[events]]` tables)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from parsers.app_line import AppLine, read_app_line
from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class Flag:
    """What marks an event out: where all of `where` hold (and in `environment` only, if given), it bears the flag `name`.

    `severity` then replaces the table's; a flag without a name does only that. Values are compared as text.
    """

    where: Mapping[str, FieldValue]
    name: str | None = None
    environment: str | None = None
    severity: Severity | None = None

    def holds(self, fields: Mapping[str, FieldValue], environment: str) -> bool:
        """Whether an event with these fields, of an app in that environment, bears it."""
        if self.environment is not None and self.environment != environment:
            return False
        return all(name in fields and str(fields[name]) == str(value) for name, value in self.where.items())


@dataclass(frozen=True, slots=True)
class EventTable:
    """One `[[events]]` table: lines whose event name matches the glob `name` are events of `kind`.

    `fields` are kept, others dropped; None keeps all. Among them is `action`, the parts of the name that the pattern's wildcard
    stands for (`challenge_stored` of `webauthn.*`), or the last one. Without `severity` the line's own level word says it.
    """

    name: str
    kind: str
    fields: tuple[str, ...] | None = None
    severity: Severity | None = None
    flags: tuple[Flag, ...] = ()
    literal: str = field(init=False)  # the name up to its first wildcard: a line without it cannot match

    def __post_init__(self) -> None:
        first = min((self.name.find(sign) for sign in _WILDCARDS if sign in self.name), default=len(self.name))
        object.__setattr__(self, "literal", self.name[:first])

    def action_of(self, name: str) -> str:
        """`webauthn.challenge_stored` → `challenge_stored`."""
        before = name if self.literal == self.name else self.literal
        return name[before.rfind(".") + 1 :]


def read(line: Line, tables: Sequence[EventTable], environment: str) -> Meaning | None:
    """The meaning of an app's line, by the first table that matches its event name; None where there is none.

    The name must stand where a name stands, not anywhere in the text: a request for `/webauthn.js` is no event.
    """
    said = read_app_line(line.text)
    if said is None:
        return None
    for table in tables:
        if fnmatchcase(said.name, table.name):
            return _meaning(said, line, table, environment)
    return None


def _meaning(said: AppLine, line: Line, table: EventTable, environment: str) -> Meaning:
    every = {"action": table.action_of(said.name)} | {k: v for k, v in said.fields.items() if k != "action"}
    kept = every if table.fields is None else {name: every[name] for name in table.fields if name in every}
    severity = said.severity if table.severity is None else table.severity
    borne = [flag for flag in table.flags if flag.holds(every, environment)]
    return Meaning(
        kind=table.kind,
        severity=max((flag.severity for flag in borne if flag.severity is not None), default=severity),
        dyno=line.process,
        fields=kept,
        flags=tuple(flag.name for flag in borne if flag.name is not None),
    )
