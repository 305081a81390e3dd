"""Reminders: what is open and nobody has acknowledged is told again, to endpoints that want it, at their interval."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.loud_again import hush_now, keepers_of
from service.notify.notification import REMINDER, Notification, incident_url
from service.notify.routes import decide
from service.store import deliveries, endpoints, incidents, reminders
from service.store.ids import new_id
from service.store.incidents import Incident
from service.wire.incident import incident_json


async def remind(conn: AsyncConnection, *, public_url: str, now: datetime) -> int:
    """Makes the reminders that are due, and says how many. In the transaction of `conn`; two workers make none twice."""
    found = await reminders.due(conn, now=now)
    if not found:
        return 0  # as nearly always: nothing is locked
    receiving = {one.id: one for one in await endpoints.receiving(conn)}
    made = 0
    for due in found:
        incident = await incidents.one(conn, due.incident_id)
        endpoint = receiving.get(due.endpoint_id)
        if incident is None or endpoint is None or await _is_hushed(conn, incident, now=now):
            continue
        told = dict(incident_json(incident))
        notification = Notification(REMINDER, now, told, incident_url(public_url, told))
        if not decide(endpoint, notification, told=True).tell:
            continue
        made += await deliveries.enqueue(
            conn,
            id=new_id(),
            endpoint_id=endpoint.id,
            type=REMINDER,
            payload=FORMATS[endpoint.format](notification),
            now=now,
            give_up_at=now + GIVE_UP_AFTER,
            app_id=due.app_id,
            incident_id=due.incident_id,
            number=due.number,
            repeat=due.repeat,
        )
    return made


async def _is_hushed(conn: AsyncConnection, incident: Incident, *, now: datetime) -> bool:
    """Whether nobody is told of the incident just now: of a silence, a cause that inhibits it, or because it flaps."""
    if incident.flapping_since is not None:
        return True
    return hush_now(incident, await keepers_of(conn, [incident], now), now) is not None
