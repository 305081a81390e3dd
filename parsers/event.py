"""An event: a line that means something, with the same shape for every kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

# What a field of an event may hold. Lists are lists of text (`config_keys`).
FieldValue = str | int | float | bool | None | list[str]


class Severity(IntEnum):
    """How bad, low to high; compares by rank. In JSON and filters it is the lower-case name."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """`Severity.ERROR` → `"error"`."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> "Severity":
        """`"error"` → `Severity.ERROR`, in any case of letters. Raises KeyError for any other word."""
        return cls[label.upper()]


@dataclass(frozen=True, slots=True)
class Event:
    """A line that means something (DESIGN: kinds of events).

    `id` is None until the event is kept. `ts` is the line's own time and `received_at` the time of receipt, both aware
    UTC. `dyno` is the dyno the line is about, or None. `message` is the text after the header. `place` is the number of
    the event's line within its frame, from 0, and within its chunk once kept.
    """

    ts: datetime
    received_at: datetime
    app: str
    environment: str
    source: str
    process: str
    dyno: str | None
    kind: str
    code: str | None
    severity: Severity
    message: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    place: int = 0
    id: UUID | None = None

    @property
    def at(self) -> datetime:
        """The time at which it counts: its own, or its arrival where its own lies in the future."""
        return min(self.ts, self.received_at)

    @property
    def process_type(self) -> str | None:
        """`web` of `web.1`, from the dyno it is about; None where it is about none. Fir's `web-abc-123` is `web` too."""
        if self.dyno is None:
            return None
        return self.dyno.partition(".")[0] if "." in self.dyno else self.dyno.partition("-")[0]
