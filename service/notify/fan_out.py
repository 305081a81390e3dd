"""Transitions → deliveries: what each endpoint is owed, in the transaction that marks the transitions as done with."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.notification import RESOLVED, TYPE_OF, Notification, incident_url, late
from service.notify.routes import decide
from service.store import deliveries, endpoints, transitions
from service.store.deliveries import Told
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.transitions import Transition

# Detection waits 10 s for lines that come late, and an incident's timers run on its app's clock: what is told a minute
# after it came about was held up by something, and says so.
_LATE = timedelta(minutes=1)


async def fan_out(conn: AsyncConnection, *, public_url: str, now: datetime, limit: int = 100) -> int:
    """Makes the deliveries of the steps of up to `limit` incidents, and says how many steps these were; 0: nothing is owed.

    All in the transaction of `conn`, whose owner commits it. Two workers, or one that starts again, never make a second
    delivery of a step for the same endpoint.
    """
    steps = await transitions.owed(conn, limit=limit)
    if not steps:
        return 0
    receiving = await endpoints.receiving(conn)
    queued = False
    for step in steps:
        if step.type not in TYPE_OF or not receiving:
            continue
        told = await _told(conn, step, receiving)
        for endpoint in receiving:
            notification = _notification(step, told.get(endpoint.id), public_url=public_url, now=now)
            if not decide(endpoint, notification, told=endpoint.id in told).tell:
                continue
            queued |= await deliveries.enqueue(
                conn,
                id=new_id(),
                endpoint_id=endpoint.id,
                type=notification.type,
                payload=FORMATS[endpoint.format](notification),
                now=now,
                give_up_at=now + GIVE_UP_AFTER,
                app_id=step.app_id,
                incident_id=step.incident_id,
                number=step.number,
            )
    await transitions.fanned_out(conn, steps)
    if queued:
        await transitions.wake(conn)
    for step in steps:
        metrics.TRANSITIONS.labels(str(step.incident.get("rule")), step.type).inc()
    return len(steps)


async def _told(conn: AsyncConnection, step: Transition, receiving: Sequence[EndpointRow]) -> dict[int, Told]:
    """Which endpoints were told of the incident; asked only where it decides, of a resolution."""
    if TYPE_OF[step.type] != RESOLVED:
        return {}
    ids = [endpoint.id for endpoint in receiving]
    return await deliveries.told(conn, incident_id=step.incident_id, number=step.number, endpoint_ids=ids)


def _notification(step: Transition, told: Told | None, *, public_url: str, now: datetime) -> Notification:
    type = TYPE_OF[step.type]
    incident = dict(step.incident)
    if told is not None and not told.heard:
        # All that was told of it there died on the way: this one tells the opening too.
        incident = late(incident, since=told.since, now=now)
    elif now - step.at > _LATE:
        incident = late(incident, since=step.at, now=now)
    return Notification(type, step.at, incident, incident_url(public_url, incident))
