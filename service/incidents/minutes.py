"""An app's traffic, minute by minute: what is pending is added up, and a minute that is over becomes events.

A minute is over when the app's clock is SETTLE past its end; then it is a `heartbeat` (the drain was heard) and, if it has
requests, a `traffic` event (`detect/minute_events.py`). A
line that comes later still counts where it belongs: the row and its events are mended, and rules see the event again, with
the id it had, as long as late lines count at all. So what a minute says does not depend on how its lines came.

An app that is heard again is not kept waiting for the end of its minute: the heartbeat comes with the first line. It bears the
time that it would have borne at the end, so that what it ends has ended at the same time, only sooner told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from parsers.line import Origin
from parsers.traffic import MINUTE, Minute, unpack
from service.detect.minute_events import closes_at, minute_events
from service.store import own_events, partitions, traffic
from service.store.ids import new_id
from service.store.leases import Lease
from service.store.pending import Pending
from service.store.traffic import KeptMinute

# A line's own time may be anything, and each week is a partition: what is older than this is in no traffic.
OLDEST = timedelta(days=366)
# Partitions are made this far ahead and behind; for older minutes it is to be asked.
_RECENT = timedelta(days=partitions.DAYS_BEHIND)


@dataclass(frozen=True, slots=True)
class Counted:
    """The minutes that have changed, to be kept; the events that minutes have become, or become anew; and the earliest minute
    that is still open, if any."""

    minutes: tuple[KeptMinute, ...]
    events: tuple[Event, ...]
    open_at: datetime | None


async def count(
    conn: AsyncConnection,
    lease: Lease,
    rows: Sequence[Pending],
    *,
    clock: datetime,
    now: datetime,
    heard_at: datetime | None = None,
) -> Counted:
    """Adds the traffic of `rows` to the app's minutes, and closes those that are over by the app's `clock`. Their events are
    kept; the minutes themselves are left to the caller. `heard_at` is when it was heard before, by the wall's clock."""
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
    was_silent = heard_at is not None and min((row.received_at for row in rows), default=heard_at) - heard_at >= MINUTE
    made: list[Event] = []
    amended: list[Event] = []
    for at, one in after.items():
        is_over = one.closed_at is not None or closes_at(at) <= clock
        if is_over or (was_silent and at in brought and one.heartbeat_id is None and at <= now < at + 2 * MINUTE):
            after[at] = _closed(one, now) if is_over else replace(one, heartbeat_id=new_id(at + MINUTE))
            events = _events(lease, after[at])
            made += [event for event in events if event.id not in (one.heartbeat_id, one.traffic_id)]
            amended += [event for event in events if event.id in (one.heartbeat_id, one.traffic_id)]
    await own_events.add(conn, lease.app_id, made)
    for event in amended:
        await own_events.amend(conn, lease.app_id, event)
    open_at = min((at for at, one in after.items() if one.closed_at is None), default=None)
    changed = tuple(one for at, one in after.items() if one != before.get(at))
    return Counted(changed, (*made, *amended), open_at)


def _closed(minute: KeptMinute, now: datetime) -> KeptMinute:
    """The minute with the ids of the events that it is; those it had stay, and so does their time of receipt."""
    closed_at = minute.closed_at or (minute.at + MINUTE if minute.heartbeat_id else now)
    heartbeat_id = minute.heartbeat_id or new_id(closed_at)
    traffic_id = minute.traffic_id or (new_id(closed_at) if minute.counts.requests else None)
    return replace(minute, closed_at=closed_at, heartbeat_id=heartbeat_id, traffic_id=traffic_id)


def _events(lease: Lease, minute: KeptMinute) -> list[Event]:
    return minute_events(
        Origin(lease.app, lease.environment),
        minute.at,
        minute.counts,
        received_at=minute.closed_at or minute.at + MINUTE,
        heartbeat_id=minute.heartbeat_id,
        traffic_id=minute.traffic_id,
    )
