"""What hushed an incident is over: a silence has ended, or a cause. What still stands is told then, once.

Called in the transaction that fans out, with the turn taken: so it happens once, whoever is killed when.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify import gate
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.gate import Hush, Keepers
from service.notify.notification import SILENCE_ENDED, TYPE_OF, Notification, incident_url
from service.notify.of_many import silence_ended
from service.notify.routes import decide
from service.store import decisions, deliveries, endpoints, hushed, incidents, silences, transitions
from service.store.decisions import OF_NO_STEP, Decision
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.incidents import Incident
from service.store.silences import Silence
from service.store.transitions import Transition
from service.wire.incident import incident_json
from service.wire.silence import silence_json

_AT_ONCE = 200


async def let_loose(conn: AsyncConnection, *, now: datetime) -> None:
    """Incidents that stand, and whose silence or cause holds no more, make a step that is then owed: they are loud again.
    One that something else hushes meanwhile is marked with that."""
    found = await hushed.let_loose(conn, now=now, limit=_AT_ONCE)
    keepers = await keepers_of(conn, found, now)
    for incident in found:
        if not await _is_hushed(conn, incident, keepers, now):
            await _step(conn, incident, now, note="what hushed it is over")


async def end_silences(conn: AsyncConnection, *, public_url: str, now: datetime) -> int:
    """Tells of each silence that has ended, once, with the incidents that stand and are loud again; how many silences."""
    ended = await silences.to_announce(conn, now=now)
    if not ended:
        return 0
    receiving = await endpoints.receiving(conn)
    for silence in ended:
        loud = await _loud_after(conn, silence, now)
        for endpoint in receiving:
            await _tell(conn, silence, loud, endpoint, public_url=public_url, now=now)
        await transitions.fanned_out(conn, [step for step, _ in loud])
    await silences.announced(conn, ended)
    await transitions.wake(conn)
    return len(ended)


# A step that makes an incident loud again, and whether the incident had been hushed (else it was told before).
_Loud = tuple[Transition, bool]


async def _loud_after(conn: AsyncConnection, silence: Silence, now: datetime) -> list[_Loud]:
    standing = [
        one
        for one in await hushed.standing(conn)
        if gate.matches(silence.match, incident_json(one)) and one.opened_at < silence.ends_at
    ]
    keepers = await keepers_of(conn, standing, now)
    ids = [one.id for one in standing]
    marked, owing = await hushed.marked(conn, ids), await transitions.owing(conn, ids)
    loud = []
    for incident in standing:
        if incident.id in owing and incident.id not in marked:
            continue  # it has come just now, and is told by its own steps
        if await _is_hushed(conn, incident, keepers, now):
            continue
        step = await _step(conn, incident, now, note=f"silence {silence.id} has ended")
        if step:
            loud.append((step, incident.id in marked))
            await hushed.unmark(conn, incident.app_id, incident.id)
    return loud


async def _tell(
    conn: AsyncConnection,
    silence: Silence,
    loud: Sequence[_Loud],
    endpoint: EndpointRow,
    *,
    public_url: str,
    now: datetime,
) -> None:
    """One message of the silence's end, with what of it is loud at that endpoint. An endpoint that does not ask for such
    messages is told what was hushed as an opening, incident by incident."""
    asks = endpoint.types is None or SILENCE_ENDED in endpoint.types
    together, made, incidents_told = new_id(), [], []
    for step, was_hushed in loud:
        type = SILENCE_ENDED if asks or not was_hushed else TYPE_OF[step.type]
        url = incident_url(public_url, step.incident)
        notification = Notification(type, now, step.incident, url)
        verdict = decide(endpoint, notification, told=False)
        sent = None
        if verdict.tell and asks:
            incidents_told.append(step.incident)
            sent = together
        elif verdict.tell:
            sent = new_id()
            await deliveries.enqueue(
                conn,
                id=sent,
                endpoint_id=endpoint.id,
                type=type,
                payload=FORMATS[endpoint.format](notification),
                now=now,
                give_up_at=now + GIVE_UP_AFTER,
                app_id=step.app_id,
                incident_id=step.incident_id,
                number=step.number,
            )
        made.append(
            Decision(
                now,
                step.app_id,
                step.incident_id,
                step.number,
                endpoint.id,
                type,
                verdict.tell,
                verdict.reason,
                sent,
            )
        )
    await decisions.record(conn, made)
    if asks and (incidents_told or not loud):
        told = silence_ended(silence_json(silence, now=now), incidents_told, at=silence.ends_at, public_url=public_url)
        await deliveries.enqueue(
            conn,
            id=together,
            endpoint_id=endpoint.id,
            type=told.type,
            payload=FORMATS[endpoint.format](told),
            now=now,
            give_up_at=now + GIVE_UP_AFTER,
        )


async def keepers_of(conn: AsyncConnection, found: Sequence[Incident], now: datetime) -> Keepers:
    """What may keep these incidents from being told now."""
    if not found:
        return Keepers()
    return Keepers(
        silences=await silences.between(conn, since=now, until=now),
        causes=await hushed.causes(conn, {one.app_id for one in found}, since=now),
    )


def hush_now(incident: Incident, keepers: Keepers, now: datetime) -> Hush | None:
    """What keeps an incident that stands from being told now; None: it is loud."""
    return gate.hush(
        incident_json(incident),
        "loud",
        app_id=incident.app_id,
        at=now,
        ended_at=None,
        now=now,
        keepers=keepers,
        told=False,
        marked=True,
    )


async def _is_hushed(conn: AsyncConnection, incident: Incident, keepers: Keepers, now: datetime) -> bool:
    """Whether something else hushes the incident now; then it is marked with that."""
    hush = hush_now(incident, keepers, now)
    if hush is None:
        return False
    await hushed.mark(conn, incident.app_id, incident.id, silence_id=hush.silence_id, cause_id=hush.cause_id)
    made = Decision(now, incident.app_id, incident.id, OF_NO_STEP, None, TYPE_OF["loud"], False, hush.reason)
    await decisions.record(conn, [made])
    return True


async def _step(conn: AsyncConnection, incident: Incident, now: datetime, *, note: str) -> Transition | None:
    """The step that makes the incident loud again; None where somebody else has changed it at this moment."""
    after = await incidents.replace_version(conn, incident)
    if after is None:
        return None
    step = Transition(
        app_id=after.app_id,
        incident_id=after.id,
        number=after.version,
        type="loud",
        at=now,
        made_at=now,
        actor=None,
        note=note,
        incident=dict(incident_json(after)),
    )
    await transitions.append(
        conn,
        app_id=step.app_id,
        incident_id=step.incident_id,
        number=step.number,
        type=step.type,
        at=step.at,
        incident=step.incident,
        note=step.note,
    )
    return step
