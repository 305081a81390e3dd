"""An app's traffic, minute by minute: what is pending is added up, and a minute that is over becomes events.

A minute is over when the app's clock is SETTLE past its end; then it is a `heartbeat` (the drain was heard) and, if it has
requests, a `traffic` event, both with the minute's last microsecond as their time: in it, and after all that they count. A
line that comes later still counts where it belongs: the row and its events are mended, and rules see the event again, with
the id it had, as long as late lines count at all. So what a minute says does not depend on how its lines came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event, FieldValue, Severity
from parsers.times import quantiles
from parsers.traffic import MINUTE, Minute, unpack
from service.detect.history import SETTLE
from service.store import own_events, partitions, traffic
from service.store.ids import new_id
from service.store.leases import Lease
from service.store.pending import Pending
from service.store.traffic import KeptMinute
from service.wire.instant import instant

# A line's own time may be anything, and each week is a partition: what is older than this is in no traffic.
OLDEST = timedelta(days=366)
# Partitions are made this far ahead and behind; for older minutes it is to be asked.
_RECENT = timedelta(days=partitions.DAYS_BEHIND)
_LAST_MOMENT = MINUTE - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The events that minutes have become, or become anew; and the earliest minute that is still open, if any."""

    events: tuple[Event, ...]
    open_at: datetime | None


def closes_at(minute: datetime) -> datetime:
    """When, on the app's clock, the minute becomes events."""
    return minute + MINUTE + SETTLE


async def keep(conn: AsyncConnection, lease: Lease, rows: Sequence[Pending], *, clock: datetime, now: datetime) -> Kept:
    """Adds the traffic of `rows` to the app's minutes, and closes those that are over by the app's `clock`."""
    brought: dict[datetime, Minute] = {}
    for row in rows:
        for at, counts in unpack(row.traffic).items():
            if at > now - OLDEST:
                brought[at] = brought[at] + counts if at in brought else counts
    before = await traffic.kept(conn, lease.app_id, brought)
    if old := [at for at in brought if at not in before and at < now - _RECENT]:
        await partitions.ensure_traffic(conn, old)
    after = dict(before)
    for at, counts in brought.items():
        after[at] = replace(before[at], counts=before[at].counts + counts) if at in before else KeptMinute(at, counts)
    made: list[Event] = []
    amended: list[Event] = []
    for at, one in after.items():
        if one.closed_at is not None or closes_at(at) <= clock:
            after[at] = _closed(one, now)
            events = _events(lease, after[at])
            made += [event for event in events if event.id not in (one.heartbeat_id, one.traffic_id)]
            amended += [event for event in events if event.id in (one.heartbeat_id, one.traffic_id)]
    await traffic.record(conn, lease.app_id, [one for at, one in after.items() if one != before.get(at)])
    await own_events.add(conn, lease.app_id, made)
    for event in amended:
        await own_events.amend(conn, lease.app_id, event)
    open_at = min((at for at, one in after.items() if one.closed_at is None), default=None)
    return Kept((*made, *amended), open_at)


def _closed(minute: KeptMinute, now: datetime) -> KeptMinute:
    """The minute with the ids of the events that it is; those it had stay."""
    closed_at = minute.closed_at or now
    heartbeat_id = minute.heartbeat_id or new_id(closed_at)
    traffic_id = minute.traffic_id or (new_id(closed_at) if minute.counts.requests else None)
    return replace(minute, closed_at=closed_at, heartbeat_id=heartbeat_id, traffic_id=traffic_id)


def _events(lease: Lease, minute: KeptMinute) -> list[Event]:
    of_kinds = (
        ("heartbeat", minute.heartbeat_id, heartbeat_fields(minute.counts)),
        ("traffic", minute.traffic_id, traffic_fields(minute.counts)),
    )
    return [
        Event(
            ts=minute.at + _LAST_MOMENT,
            received_at=minute.closed_at or minute.at,
            app=lease.app,
            environment=lease.environment,
            source=own_events.SOURCE,
            process=kind,
            dyno=None,
            kind=kind,
            code=None,
            severity=Severity.INFO,
            message=" ".join(f"{name}={value}" for name, value in fields.items()),
            fields={"minute": instant(minute.at), **fields},
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
