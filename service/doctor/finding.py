"""One thing that is wrong, and the words that findings are written in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from parsers.event import Severity
from service.doctor.facts import LATELY, Store
from service.store.drains import Drain


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: `name` as in docs/doctor.md, `what` is so, `why` it matters, `type` into a terminal, a line each."""

    name: str
    severity: Severity
    what: str
    why: str
    type: tuple[str, ...]


Found = Iterator[Finding]


def drain_named(drain: Drain) -> str:
    """A drain by its number and its app."""
    return f"drain {drain.id} ({drain.app})"


def lately(at: datetime | None, store: Store) -> bool:
    """Whether that was within a day."""
    return at is not None and store.server.now - at < LATELY


def ago(at: datetime | None, store: Store) -> str:
    """How long ago that was, in words."""
    return f"{span_of(store.server.now - at)} ago" if at is not None else "never"


def span_of(span: timedelta) -> str:
    """A span in its largest fitting unit, whole."""
    seconds = max(0, round(span.total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """`3 drains`, `1 drain`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
