"""What a minute that is over becomes: a `heartbeat` (the drain was heard) and, where it had requests, a `traffic` event.

Both bear the minute's last microsecond as their time: in it, and after all that they count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from parsers.event import Event, FieldValue, Severity
from parsers.line import Origin
from parsers.times import quantiles
from parsers.traffic import MINUTE, Minute
from service.detect.history import LATENESS, SETTLE

SOURCE = "drainwatch"
_LAST_MOMENT = MINUTE - timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def closes_at(minute: datetime) -> datetime:
    """When, on the app's clock, the minute becomes events."""
    return minute + MINUTE + SETTLE


def minute_events(
    origin: Origin,
    at: datetime,
    counts: Minute,
    *,
    received_at: datetime,
    heartbeat_id: UUID | None,
    traffic_id: UUID | None,
) -> list[Event]:
    """The events of the minute that begins at `at`; without an id none of that kind."""
    of_kinds = (
        ("heartbeat", heartbeat_id, heartbeat_fields(counts)),
        ("traffic", traffic_id, traffic_fields(counts)),
    )
    return [
        Event(
            ts=at + _LAST_MOMENT,
            received_at=received_at,
            app=origin.app,
            environment=origin.environment,
            source=SOURCE,
            process=kind,
            dyno=None,
            kind=kind,
            code=None,
            severity=Severity.INFO,
            message=" ".join(f"{name}={value}" for name, value in fields.items()),
            fields={"minute": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", **fields},
            id=id,
        )
        for kind, id, fields in of_kinds
        if id is not None
    ]


def heartbeat_fields(counts: Minute) -> dict[str, FieldValue]:
    """What a `heartbeat` says of its minute."""
    return {"lines": counts.lines}


def traffic_fields(counts: Minute) -> dict[str, FieldValue]:
    """What a `traffic` event says of its minute: `requests`, `errors` (5xx), `bytes`, `status_2xx` …, each code by its name,
    and the quantiles of the service time and of the time to connect, where requests have one."""
    names = ("p50_ms", "p95_ms", "p99_ms")
    service = dict(zip(names, quantiles(counts.service, (0.5, 0.95, 0.99)), strict=True))
    [connect] = quantiles(counts.connect, (0.95,))
    fields: dict[str, FieldValue] = {
        "requests": counts.requests,
        "errors": counts.errors,
        "bytes": counts.bytes,
        **{f"status_{name}": many for name, many in sorted(counts.by_status.items())},
        **dict(sorted(counts.by_code.items())),
        **service,
        "connect_p95_ms": connect,
    }
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(slots=True)
class Minutes:
    """The minutes of one app as a backtest keeps them: in memory, for as long as a late line may still change them."""

    origin: Origin
    _counts: dict[datetime, Minute] = field(default_factory=dict)
    _closed: set[datetime] = field(default_factory=set)

    def add(self, brought: Mapping[datetime, Minute], *, clock: datetime) -> list[Event]:
        """The events that minutes have become, or become anew, now that this has come and the app's clock stands there."""
        for at, counts in brought.items():
            self._counts[at] = self._counts[at] + counts if at in self._counts else counts
        over = [at for at in self._counts if closes_at(at) <= clock and (at in brought or at not in self._closed)]
        events = [event for at in sorted(over) for event in self._events(at)]
        self._closed.update(over)
        for at in [at for at in self._closed if closes_at(at) + LATENESS < clock]:
            del self._counts[at]
            self._closed.discard(at)
        return events

    def _events(self, at: datetime) -> list[Event]:
        counts = self._counts[at]
        number = 2 * ((at - _EPOCH) // MINUTE)
        return minute_events(
            self.origin,
            at,
            counts,
            received_at=at + MINUTE,
            heartbeat_id=UUID(int=number),
            traffic_id=UUID(int=number + 1) if counts.requests else None,
        )
