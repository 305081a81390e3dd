"""Transitions → deliveries: what each endpoint is owed, in the transaction that marks the transitions as done with.

Each step meets the gate first (`gate.py`: what is hushed is told nowhere), then every endpoint's route. Whatever comes of
it is a row of `decisions` with its reason. Openings that come in a storm are told together (`storm.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.notify import gate, storm
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.gate import Keepers
from service.notify.loud_again import end_silences, let_loose
from service.notify.notification import RESOLVED, TYPE_OF, Notification, digest, incident_url, late
from service.notify.routes import decide
from service.store import decisions, deliveries, endpoints, hushed, silences, transitions
from service.store.decisions import Decision, Opening, Told
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.transitions import Transition

# Detection waits 10 s for lines that come late, and an incident's timers run on its app's clock: what is told a minute
# after it came about was held up by something, and says so.
_LATE = timedelta(minutes=1)


async def fan_out(conn: AsyncConnection, *, public_url: str, now: datetime, limit: int = 200) -> int:
    """Makes the deliveries of the steps of up to `limit` incidents, and of silences that have ended; says how many steps and
    silences these were; 0: nothing is owed yet, or another worker is at it.

    All in the transaction of `conn`, whose owner commits it. Two workers, or one that starts again, never make a second
    delivery of a step for the same endpoint.
    """
    if not await transitions.take_turn(conn):
        return 0
    ended = await end_silences(conn, public_url=public_url, now=now)
    await let_loose(conn, now=now)
    steps = await transitions.owed(conn, limit=limit)
    if not steps:
        return ended
    turn = _Turn(
        conn,
        public_url,
        now,
        receiving=await endpoints.receiving(conn),
        keepers=await _keepers(conn, steps, now),
        marked=await hushed.marked(conn, {step.incident_id for step in steps}),
        lately=await decisions.openings(conn, since=now - storm.MINUTE),
    )
    lives = _by_incident(steps)
    opening = [life for life in lives if turn.opens(life)]
    told = {one.incident_id for one in turn.lately}
    digest_at = max((one.at for one in turn.lately if one.digest), default=None)
    full = len(lives) >= limit  # who waits for more must not keep others waiting
    if storm.holds_back(_times(opening), told=len(told), digest_at=digest_at, now=now) and not full:
        lives = [life for life in lives if life not in opening]
        opening = []
    turn.gather(opening)
    for life in lives:
        for step in life:
            await turn.tell(step, life)
    await turn.send_digests()
    done = [step for life in lives for step in life]
    await transitions.fanned_out(conn, done)
    if turn.queued:
        await transitions.wake(conn)
    for step in done:
        metrics.TRANSITIONS.labels(str(step.incident.get("rule")), step.type).inc()
    return len(done) + ended


# The owed steps of one incident, in order.
_Life = Sequence[Transition]


@dataclass(slots=True)
class _Digest:
    """What one endpoint is told together: by incident, its JSON as of the newest step."""

    id: UUID
    endpoint: EndpointRow
    incidents: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Turn:
    """One fan-out, and what is known when it begins."""

    conn: AsyncConnection
    public_url: str
    now: datetime
    receiving: Sequence[EndpointRow]
    keepers: Keepers
    marked: set[UUID]
    lately: Sequence[Opening]
    digests: dict[tuple[int, UUID], _Digest] = field(default_factory=dict)  # by endpoint and incident
    queued: bool = False

    def opens(self, life: _Life) -> bool:
        """Whether an incident is told as opened now."""
        return any(step.type == "opened" and not self._hush(step, life, told=False) for step in life)

    def gather(self, opening: Sequence[_Life]) -> None:
        """Finds the endpoints that are told of `opening` together."""
        for endpoint in self.receiving:
            wanted = [life for life in opening if decide(endpoint, self._notification(life[0], None), told=False).tell]
            told = sum(one.endpoint_id == endpoint.id for one in self.lately)
            if storm.is_digest(len(wanted), told=told):
                one = _Digest(new_id(), endpoint)
                self.digests.update({(endpoint.id, life[0].incident_id): one for life in wanted})

    async def tell(self, step: Transition, life: _Life) -> None:
        """Makes the deliveries of one step, and writes down why or why not."""
        type = TYPE_OF.get(step.type)
        if type is None:
            return
        known = await self._told(step)
        hush = self._hush(step, life, told=bool(known))
        if hush:
            if step.type in gate.LOUD and (hush.silence_id or hush.cause_id):
                await self._mark(step, silence_id=hush.silence_id, cause_id=hush.cause_id)
            await self._decided(step, type, None, False, hush.reason)
        if step.type in gate.ENDS or (step.type in gate.LOUD and not hush):
            await self._unmark(step)
        if hush:
            return
        if not self.receiving:
            await self._decided(step, type, None, False, "there is no webhook that could be told")
        for endpoint in self.receiving:
            notification = self._notification(step, known.get(endpoint.id))
            verdict = decide(endpoint, notification, told=endpoint.id in known)
            sent = await self._owe(endpoint, step, notification) if verdict.tell else None
            await self._decided(step, type, endpoint.id, verdict.tell, verdict.reason, sent)

    async def send_digests(self) -> None:
        """Makes the deliveries of what is told together."""
        for one in {id(one): one for one in self.digests.values()}.values():
            told = digest(list(one.incidents.values()), at=self.now, public_url=self.public_url)
            self.queued |= await deliveries.enqueue(
                self.conn,
                id=one.id,
                endpoint_id=one.endpoint.id,
                type=told.type,
                payload=FORMATS[one.endpoint.format](told),
                now=self.now,
                give_up_at=self.now + GIVE_UP_AFTER,
            )

    async def _owe(self, endpoint: EndpointRow, step: Transition, notification: Notification) -> UUID:
        """The delivery that tells the step there."""
        if together := self.digests.get((endpoint.id, step.incident_id)):
            together.incidents[step.incident_id] = notification.incident
            return together.id
        delivery_id = new_id()
        self.queued |= await deliveries.enqueue(
            self.conn,
            id=delivery_id,
            endpoint_id=endpoint.id,
            type=notification.type,
            payload=FORMATS[endpoint.format](notification),
            now=self.now,
            give_up_at=self.now + GIVE_UP_AFTER,
            app_id=step.app_id,
            incident_id=step.incident_id,
            number=step.number,
        )
        return delivery_id

    def _hush(self, step: Transition, life: _Life, *, told: bool) -> gate.Hush | None:
        ended_at = life[-1].incident.get("resolved_at")
        return gate.hush(
            step.incident,
            step.type,
            app_id=step.app_id,
            at=step.at,
            ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
            now=self.now,
            keepers=self.keepers,
            told=told,
            marked=step.incident_id in self.marked,
        )

    async def _told(self, step: Transition) -> dict[int, Told]:
        """Which endpoints were told of the incident before."""
        ids = [endpoint.id for endpoint in self.receiving]
        return await decisions.told(
            self.conn, app_id=step.app_id, incident_id=step.incident_id, number=step.number, endpoint_ids=ids
        )

    async def _mark(self, step: Transition, *, silence_id: int | None, cause_id: UUID | None) -> None:
        self.marked.add(step.incident_id)
        await hushed.mark(self.conn, step.app_id, step.incident_id, silence_id=silence_id, cause_id=cause_id)

    async def _unmark(self, step: Transition) -> None:
        if step.incident_id in self.marked:
            self.marked.discard(step.incident_id)
            await hushed.unmark(self.conn, step.app_id, step.incident_id)

    async def _decided(
        self, step: Transition, type: str, endpoint_id: int | None, told: bool, reason: str, sent: UUID | None = None
    ) -> None:
        made = Decision(self.now, step.app_id, step.incident_id, step.number, endpoint_id, type, told, reason, sent)
        await decisions.record(self.conn, [made])

    def _notification(self, step: Transition, told: Told | None) -> Notification:
        type = TYPE_OF[step.type]
        incident = dict(step.incident)
        if type == RESOLVED and told is not None and not told.heard:
            # All that was told of it there died on the way: this one tells the opening too.
            incident = late(incident, since=told.since, now=self.now)
        elif self.now - step.at > _LATE:
            incident = late(incident, since=step.at, now=self.now)
        return Notification(type, step.at, incident, incident_url(self.public_url, incident))


async def _keepers(conn: AsyncConnection, steps: Sequence[Transition], now: datetime) -> Keepers:
    since = min(now, *(step.at for step in steps))
    app_ids = {step.app_id for step in steps}
    return Keepers(
        silences=await silences.between(conn, since=since, until=now),
        causes=await hushed.causes(conn, app_ids, since=since),
    )


def _by_incident(steps: Sequence[Transition]) -> list[_Life]:
    lives: dict[UUID, list[Transition]] = {}
    for step in steps:
        lives.setdefault(step.incident_id, []).append(step)
    return list(lives.values())


def _times(opening: Sequence[_Life]) -> list[datetime]:
    return [life[0].made_at for life in opening]
