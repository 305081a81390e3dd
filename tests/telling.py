"""The words for samples: a scenario is a log as `heroku logs` prints it, and the incidents that it must open."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from parsers.line import Origin
from service.cli.recording import pieces_of

SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True, slots=True)
class Expected:
    """An incident that a scenario opens; `resolved_at` is None where it is still there ten seconds after the last line."""

    rule: str
    subject: str
    severity: str
    opened_at: datetime
    resolved_at: datetime | None
    count: int
    diagnosis: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story of one app: its lines, octet-counted, each with its own time, and what they must open."""

    name: str
    origin: Origin
    story: str
    messages: Sequence[bytes]
    times: Sequence[datetime]
    incidents: Sequence[Expected]

    @property
    def until(self) -> datetime:
        """Ten seconds after the last line: the timers that were over by then have settled."""
        return max(self.times) + timedelta(seconds=10)


def scenarios() -> list[Scenario]:
    """All of `samples/scenarios`, by name."""
    return [_read(path) for path in sorted((SAMPLES / "scenarios").glob("*.log"))]


def _read(path: Path) -> Scenario:
    said = tomllib.loads(path.with_suffix(".toml").read_text())
    pieces = pieces_of(path.read_bytes())
    return Scenario(
        name=path.stem,
        origin=Origin(said.pop("app"), said.pop("environment")),
        story=said.pop("story"),
        messages=[piece.wire for piece in pieces],
        times=[piece.at for piece in pieces if piece.at],
        incidents=[_expected(one) for one in said.pop("incidents", [])],
    )


def _expected(said: Mapping[str, Any]) -> Expected:
    return Expected(**{"resolved_at": None, **said})
