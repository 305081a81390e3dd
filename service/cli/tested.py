"""What a backtest has found, beside what was opened live: as a table, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from service.cli import show
from service.detect.backtest import Occurrence
from service.incidents.lifecycle import REOPENS_WITHIN
from service.wire.incident import gap_json
from service.wire.instant import instant

# Two times that a rule was on are the same where they began this close together: late lines move a beginning.
_SAME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Tested:
    """What was found in so many lines; `live` are the incidents of that time as the service has them, None where files were
    read."""

    lines: int
    found: Sequence[Occurrence]
    live: Sequence[Mapping[str, Any]] | None

    def live_one(self, one: Occurrence) -> Mapping[str, Any] | None:
        """What was opened live for it."""
        return next((incident for incident in self.live or () if _is_same(one, incident)), None)

    @property
    def only_live(self) -> Sequence[Mapping[str, Any]]:
        """What was opened live, and would not have been."""
        return [one for one in self.live or () if not any(_is_same(found, one) for found in self.found)]

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "lines": self.lines,
            "incidents": [_json(one, self.live_one(one)) for one in self.found],
            "only_live": None if self.live is None else list(self.only_live),
        }

    def show(self) -> None:
        """As a table."""

        def row(one: Occurrence) -> list[str | Text]:
            ended = show.time(instant(one.cleared_at)) if one.cleared_at else "goes on"
            cells: list[str | Text] = [show.time(instant(one.fired_at)), ended, show.severity(one.severity.label)]
            live = [] if self.live is None else ["yes" if self.live_one(one) else Text("no", style="yellow")]
            return [*cells, *live, one.rule, one.key, str(one.count)]

        rows = [row(one) for one in self.found]
        rows += [
            [
                show.time(one["opened_at"]),
                show.time(one["resolved_at"]) if one["resolved_at"] else "goes on",
                show.severity(one["severity"]),
                Text("only", style="yellow"),
                one["rule"],
                one["subject"],
                str(one["count"]),
            ]
            for one in self.only_live
        ]
        columns = (
            "opened",
            "resolved",
            "severity",
            *(() if self.live is None else ("live",)),
            "rule",
            "subject",
            "count",
        )
        show.table(columns, rows, empty="no incidents")


def lives(told: Sequence[Occurrence]) -> list[Occurrence]:
    """What was told, as incidents: what fires again soon after its end is the same one, reopened."""
    found: list[Occurrence] = []
    counted_before: dict[int, int] = {}  # of each that was reopened: before it was last
    for one in told:
        place = (one.rule, one.key)
        at = next((n for n in reversed(range(len(found))) if (found[n].rule, found[n].key) == place), None)
        before = found[at] if at is not None else None
        if at is None or before is None or not before.cleared_at or one.fired_at > before.cleared_at + REOPENS_WITHIN:
            found.append(one)
            continue
        if one.fired_at > before.cleared_at:  # else it was never over: it has counted on
            counted_before[at] = before.count
        found[at] = replace(
            one,
            fired_at=before.fired_at,
            severity=max(before.severity, one.severity),
            count=max(before.count, counted_before.get(at, 0) + one.count),
            gaps=(*before.gaps, *(gap for gap in one.gaps if gap not in before.gaps)),
        )
    return found


def _is_same(one: Occurrence, incident: Mapping[str, Any]) -> bool:
    if (one.rule, one.key) != (incident["rule"], incident["subject"]):
        return False
    return abs(datetime.fromisoformat(incident["opened_at"]) - one.fired_at) <= _SAME


def _json(one: Occurrence, live: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "subject": one.key,
        "severity": one.severity.label,
        "opened_at": instant(one.fired_at),
        "resolved_at": instant(one.cleared_at) if one.cleared_at else None,
        "reason": one.reason,
        "count": one.count,
        "gaps": [gap_json(gap) for gap in one.gaps],
        "live": live["id"] if live else None,
    }
