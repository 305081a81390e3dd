"""How the packaged configuration reads frames, for tests; and the shortest way from a body to what it says."""

import tomllib
from pathlib import Path

from parsers.event import Event, Severity
from parsers.frame import NOTHING, Frame, Reading, Unfinished, read_frame
from parsers.kinds.named import EventTable, Flag
from parsers.line import Origin
from tests.vocabulary import NOON, message

ROOT = Path(__file__).parents[2]
PRODUCTION = Origin("shop", "production")
STAGING = Origin("shop-staging", "staging")


def packaged_tables() -> tuple[EventTable, ...]:
    """The `[[events]]` tables of service/defaults.toml."""
    tables = tomllib.loads((ROOT / "service" / "defaults.toml").read_text())["events"]
    return tuple(
        EventTable(
            name=table["name"],
            kind=table["kind"],
            fields=tuple(table["fields"]),
            severity=_severity(table),
            flags=tuple(
                Flag(flag["where"], flag.get("name"), flag.get("environment"), _severity(flag))
                for flag in table.get("flags", ())
            ),
        )
        for table in tables
    )


def _severity(table: dict[str, str]) -> Severity | None:
    return Severity.of(table["severity"]) if "severity" in table else None


READING = Reading(tables=packaged_tables(), watched_paths=frozenset({"/api/system/status"}))


def frame(body: bytes, origin: Origin = PRODUCTION, reading: Reading = READING, before: Unfinished = NOTHING) -> Frame:
    """The frame, received at NOON."""
    return read_frame(body, origin, NOON, reading, before)


def events(body: bytes, origin: Origin = PRODUCTION) -> tuple[Event, ...]:
    """The frame's events."""
    return frame(body, origin).events


def event_of(source: str, process: str, text: str, origin: Origin = PRODUCTION) -> Event | None:
    """The event that one line gives, or None."""
    found = events(message(source, process, text), origin)
    assert len(found) <= 1
    return found[0] if found else None
