"""Reminders: what is open and nobody has acknowledged is told again, to endpoints that want it, at their interval.

Each is a decision like any other. What is held back is asked again at each poll, and written down when its reason changes.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.gate import FLAPS, Keepers
from service.notify.loud_again import hush_now, keepers_of
from service.notify.notification import REMINDER, Notification, incident_url
from service.notify.routes import decide
from service.store import decisions, deliveries, endpoints, incidents, reminders, transitions
from service.store.decisions import OF_NO_STEP, Decision
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.incidents import Incident
from service.store.reminders import Due
from service.wire.incident import incident_json


async def remind(conn: AsyncConnection, *, public_url: str, now: datetime) -> int:
    """Makes the reminders that are due, and says how many; 0 also where another worker decides just now what is told. In the
    transaction of `conn`; two workers make none twice."""
    if not await reminders.due(conn, now=now) or not await transitions.take_turn(conn):
        return 0  # as nearly always: nothing is locked
    due = await reminders.due(conn, now=now)  # anew: who had the turn may have made them
    ids = {one.incident_id for one in due}
    receiving = {one.id: one for one in await endpoints.receiving(conn)}
    standing = {one.id: one for one in await incidents.with_ids(conn, ids)}
    keepers = await keepers_of(conn, list(standing.values()), now)
    held_back = await decisions.held_back(conn, {one.app_id for one in due}, ids, type=REMINDER)
    made = []
    for one in due:
        incident, endpoint = standing.get(one.incident_id), receiving.get(one.endpoint_id)
        if incident is None or endpoint is None:
            continue
        told = dict(incident_json(incident))
        notification = Notification(REMINDER, now, told, incident_url(public_url, told))
        why_not = _why_not(incident, endpoint, notification, keepers, now=now)
        if why_not is None:
            sent = await _owe(conn, one, endpoint, notification, now=now)
            why = f"nobody has acknowledged it, and it wants a reminder each {endpoint.repeat_s} s"
            made.append(_decision(one, now, why, sent))
        elif held_back.get((one.incident_id, one.endpoint_id)) != why_not:
            made.append(_decision(one, now, why_not, None))
    await decisions.record(conn, made)
    return sum(one.told for one in made)


def _why_not(
    incident: Incident, endpoint: EndpointRow, notification: Notification, keepers: Keepers, *, now: datetime
) -> str | None:
    """Why the endpoint is not reminded just now: a silence, a cause that inhibits, that it flaps, or the route; None: it is."""
    if incident.flapping_since is not None:
        return FLAPS
    if hush := hush_now(incident, keepers, now):
        return hush.reason
    verdict = decide(endpoint, notification, told=True)
    return None if verdict.tell else verdict.reason


async def _owe(
    conn: AsyncConnection, due: Due, endpoint: EndpointRow, notification: Notification, *, now: datetime
) -> UUID:
    id = new_id()
    await deliveries.enqueue(
        conn,
        id=id,
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
    return id


def _decision(due: Due, now: datetime, reason: str, sent: UUID | None) -> Decision:
    told = sent is not None
    return Decision(now, due.app_id, due.incident_id, OF_NO_STEP, due.endpoint_id, REMINDER, told, reason, sent)
