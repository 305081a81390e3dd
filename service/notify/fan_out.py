"""Transitions → deliveries: what each endpoint is owed, in the transaction that marks the transitions as done with.

What a step comes to is decided in `telling.py`; whatever that is, it is a row of `decisions` with its reason. Openings that
come in a storm are told together (`storm.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.notify import storm
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.gate import Keepers
from service.notify.loud_again import end_silences, let_loose
from service.notify.notification import Notification
from service.notify.of_many import digest
from service.notify.telling import Now, Outcome, Verdict, hush_of, outcome, wants
from service.store import decisions, deliveries, endpoints, hushed, silences, transitions
from service.store.decisions import Decision, Opening
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.transitions import Transition

# The owed steps of one incident, in order.
_Life = Sequence[Transition]


async def fan_out(conn: AsyncConnection, *, public_url: str, now: datetime, limit: int = 200) -> int:
    """Makes the deliveries of the steps of up to `limit` incidents, and of silences that have ended; says how many steps and
    silences these were; 0: nothing is owed yet, or another worker is at it.

    All in the transaction of `conn`, whose owner commits it. Two workers, or one that starts again, never make a second
    delivery of a step for the same endpoint.
    """
    if not await transitions.may_be_owed(conn, now=now) or not await transitions.take_turn(conn):
        return 0
    ended = await end_silences(conn, public_url=public_url, now=now)
    await let_loose(conn, now=now)
    steps = await transitions.owed(conn, limit=limit)
    if not steps:
        return ended
    turn = _Turn(
        conn,
        Now(now, await endpoints.receiving(conn), await _keepers(conn, steps, now), public_url),
        marked=await hushed.marked(conn, {step.incident_id for step in steps}),
        lately=await decisions.openings(conn, since=now - storm.MINUTE),
    )
    lives = _by_incident(steps)
    opening = [life for life in lives if turn.opens(life)]
    if turn.holds_back(opening) and len(lives) < limit:  # who waits for more must not keep others waiting
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


@dataclass(slots=True)
class _Digest:
    """What one endpoint is told together: by incident, its JSON as of the newest step."""

    id: UUID
    endpoint: EndpointRow
    incidents: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Turn:
    """One fan-out, and what is known when it begins: what holds now, which incidents were hushed, what was told lately."""

    conn: AsyncConnection
    now: Now
    marked: set[UUID]
    lately: Sequence[Opening]
    digests: dict[tuple[int, UUID], _Digest] = field(default_factory=dict)  # by endpoint and incident
    queued: bool = False

    def opens(self, life: _Life) -> bool:
        """Whether an incident is told as opened now."""
        hushes = (hush_of(step, self.now, ended_at=_ended_at(life), told=False, marked=False) for step in life[:1])
        return life[0].type == "opened" and not any(hushes)

    def holds_back(self, opening: Sequence[_Life]) -> bool:
        """Whether these wait for more."""
        return storm.holds_back(
            [life[0].made_at for life in opening],
            told=len({one.incident_id for one in self.lately}),
            digest_at=max((one.at for one in self.lately if one.digest), default=None),
            now=self.now.at,
        )

    def gather(self, opening: Sequence[_Life]) -> None:
        """Finds the endpoints that are told of `opening` together."""
        for endpoint in self.now.receiving:
            wanted = [life for life in opening if wants(endpoint, life[0], self.now)]
            told = sum(one.endpoint_id == endpoint.id for one in self.lately)
            if storm.is_digest(len(wanted), told=told):
                one = _Digest(new_id(), endpoint)
                self.digests.update({(endpoint.id, life[0].incident_id): one for life in wanted})

    async def tell(self, step: Transition, life: _Life) -> None:
        """Makes the deliveries of one step, and writes down why or why not."""
        known = await decisions.told(
            self.conn,
            app_id=step.app_id,
            incident_id=step.incident_id,
            number=step.number,
            endpoint_ids=[endpoint.id for endpoint in self.now.receiving],
        )
        marked = step.incident_id in self.marked
        together = {endpoint for endpoint, incident in self.digests if incident == step.incident_id}
        ended_at = _ended_at(life)
        found = outcome(step, self.now, ended_at=ended_at, known=known, marked=marked, together=together)
        if found is None:
            return
        await self._mark(step, found)
        await decisions.record(self.conn, [await self._decided(step, found.type, one) for one in found.verdicts])

    async def send_digests(self) -> None:
        """Makes the deliveries of what is told together."""
        for one in {id(one): one for one in self.digests.values()}.values():
            told = digest(list(one.incidents.values()), at=self.now.at, public_url=self.now.public_url)
            await self._enqueue(one.id, one.endpoint, told)

    async def _mark(self, step: Transition, found: Outcome) -> None:
        if found.mark:
            self.marked.add(step.incident_id)
            silence_id, cause_id = found.mark.silence_id, found.mark.cause_id
            await hushed.mark(self.conn, step.app_id, step.incident_id, silence_id=silence_id, cause_id=cause_id)
        elif found.unmark and step.incident_id in self.marked:
            self.marked.discard(step.incident_id)
            await hushed.unmark(self.conn, step.app_id, step.incident_id)

    async def _decided(self, step: Transition, type: str, verdict: Verdict) -> Decision:
        """The row of a verdict, with the delivery that it makes."""
        endpoint = verdict.endpoint
        sent = None
        if verdict.tell and endpoint and verdict.notification:
            sent = await self._owe(endpoint, step, verdict.notification)
        return Decision(
            self.now.at,
            step.app_id,
            step.incident_id,
            step.number,
            endpoint.id if endpoint else None,
            verdict.notification.type if verdict.notification else type,
            verdict.tell,
            verdict.reason,
            sent,
        )

    async def _owe(self, endpoint: EndpointRow, step: Transition, notification: Notification) -> UUID:
        """The delivery that tells the step there."""
        if together := self.digests.get((endpoint.id, step.incident_id)):
            together.incidents[step.incident_id] = notification.only_incident or step.incident
            return together.id
        return await self._enqueue(new_id(), endpoint, notification, step)

    async def _enqueue(
        self, id: UUID, endpoint: EndpointRow, notification: Notification, step: Transition | None = None
    ) -> UUID:
        self.queued |= await deliveries.enqueue(
            self.conn,
            id=id,
            endpoint_id=endpoint.id,
            type=notification.type,
            payload=FORMATS[endpoint.format](notification),
            now=self.now.at,
            give_up_at=self.now.at + GIVE_UP_AFTER,
            app_id=step.app_id if step else None,
            incident_id=step.incident_id if step else None,
            number=step.number if step else None,
        )
        return id


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


def _ended_at(life: _Life) -> datetime | None:
    """When the incident ended, by its newest step; None: it stands."""
    ended_at = life[-1].incident.get("resolved_at")
    return datetime.fromisoformat(ended_at) if ended_at else None
