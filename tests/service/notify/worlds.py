"""Two worlds for the law of telling: one in memory, quick, and one on the database. Both run the code that decides.

A world keeps incidents, silences and what is owed; `fan_out` gives what was told since: endpoint, incident, step and type.
"""

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.incidents.step import tell
from service.notify import gate, telling
from service.notify.fan_out import fan_out
from service.notify.gate import Keepers
from service.store import incidents, silences
from service.store.database import Database
from service.store.decisions import Told
from service.store.endpoints import EndpointRow
from service.store.hushed import Cause
from service.store.incidents import Incident
from service.store.silences import Silence
from service.store.transitions import Transition
from service.wire.incident import incident_json

from .outbox import PUBLIC_URL

# What each of two endpoints asks for: all there is; openings and ends alone.
ENDPOINTS: tuple[tuple[str, ...] | None, ...] = (None, ("incident.opened", "incident.reopened", "incident.resolved"))


@dataclass(frozen=True)
class Message:
    """One endpoint was told of one step of one incident."""

    endpoint: int
    incident: UUID
    number: int
    type: str


@dataclass
class InMemory:
    """Plain dicts; what `fan_out.py` and `loud_again.py` load and write, done by hand."""

    incidents: dict[UUID, Incident] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    owed: list[Transition] = field(default_factory=list)
    marks: dict[UUID, gate.Hush] = field(default_factory=dict)
    known: dict[tuple[int, UUID], Told] = field(default_factory=dict)

    def write(self, incident: Incident, step: str, at: datetime, *, new: bool = False) -> Incident:
        after = incident if new else replace(incident, version=self.incidents[incident.id].version + 1)
        self.incidents[after.id] = after
        json = dict(incident_json(after))
        self.owed.append(Transition(after.app_id, after.id, after.version, step, at, at, None, None, json))
        return after

    def silence(self, match: str, now: datetime, until: datetime) -> int:
        number = len(self.silences) + 1
        self.silences[number] = Silence(number, match, now, until, "", "x", now, None)
        return number

    def end(self, silence: int, now: datetime) -> None:
        self.silences[silence] = replace(self.silences[silence], ends_at=now)

    def fan_out(self, now: datetime, *, killed: bool = False) -> list[Message]:
        world = deepcopy(self) if killed else self
        return [] if killed and world._fan_out(now) is not None else world._fan_out(now)

    def close(self) -> None:
        pass

    def _fan_out(self, now: datetime) -> list[Message]:
        told: list[Message] = []
        for silence in list(self.silences.values()):
            if silence.announced_at is None and silence.ends_at <= now:
                told += self._end(silence, now)
        for incident in [one for one in self.incidents.values() if self._is_loose(one, now)]:
            if not self._still_hushed(incident, now):
                self.write(incident, "loud", now)
        for step in sorted(self.owed, key=lambda one: one.number):
            known = {e: self.known[e, step.incident_id] for e in range(2) if (e, step.incident_id) in self.known}
            found = telling.outcome(
                step,
                self._now(now),
                ended_at=self.incidents[step.incident_id].resolved_at,
                known=known,
                marked=step.incident_id in self.marks,
            )
            if found is None:
                continue
            if found.mark:
                self.marks[step.incident_id] = found.mark
            elif found.unmark:
                self.marks.pop(step.incident_id, None)
            for verdict in found.verdicts:
                if verdict.tell and verdict.endpoint and verdict.notification:
                    told.append(self._tell(verdict.endpoint.id, step, verdict.notification.type))
        self.owed = []
        return told

    def _end(self, silence: Silence, now: datetime) -> list[Message]:
        told = []
        for incident in list(self.incidents.values()):
            if incident.status != "open" or not gate.matches(silence.match, incident_json(incident)):
                continue
            owes = any(step.incident_id == incident.id for step in self.owed)
            if incident.opened_at >= silence.ends_at or (owes and incident.id not in self.marks):
                continue
            if self._still_hushed(incident, now):
                continue
            was_hushed = self.marks.pop(incident.id, None) is not None
            self.write(incident, "loud", now)
            step = self.owed.pop()
            told.append(self._tell(0, step, "silence.ended"))
            if was_hushed:
                told.append(self._tell(1, step, "incident.opened"))
        self.silences[silence.id] = replace(silence, announced_at=now)
        return told

    def _tell(self, endpoint: int, step: Transition, type: str) -> Message:
        if type == "incident.resolved":
            self.known.pop((endpoint, step.incident_id), None)
        else:
            self.known.setdefault((endpoint, step.incident_id), Told(heard=True, since=step.at))
        return Message(endpoint, step.incident_id, step.number, type)

    def _is_loose(self, incident: Incident, now: datetime) -> bool:
        mark = self.marks.get(incident.id)
        if mark is None or incident.status != "open":
            return False
        if mark.silence_id:
            return self.silences[mark.silence_id].ends_at <= now
        return mark.cause_id is None or self.incidents[mark.cause_id].status == "resolved"

    def _still_hushed(self, incident: Incident, now: datetime) -> bool:
        json = dict(incident_json(incident))
        step = Transition(incident.app_id, incident.id, incident.version, "loud", now, now, None, None, json)
        hush = telling.hush_of(step, self._now(now), ended_at=None, told=False, marked=True)
        if hush:
            self.marks[incident.id] = hush
        return hush is not None

    def _now(self, now: datetime) -> telling.Now:
        causes = [
            Cause(one.id, one.app_id, one.rule, one.subject, one.inhibits, one.opened_at, one.resolved_at)
            for one in self.incidents.values()
            if one.inhibits
        ]
        receiving = [_endpoint(n, types, now) for n, types in enumerate(ENDPOINTS)]
        return telling.Now(now, receiving, Keepers(list(self.silences.values()), causes), PUBLIC_URL)


def _endpoint(number: int, types: tuple[str, ...] | None, now: datetime) -> EndpointRow:
    """One that asks for `types`, and for nothing else in particular."""
    says = {"id": number, "format": "standard", "match": "", "types": types, "created_at": now}
    return EndpointRow(**{**dict.fromkeys(EndpointRow.__slots__), **says})  # type: ignore[arg-type]


class OnPostgres:
    """The rows, through the worker's own code. Its own loop: hypothesis calls it without one."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._db = Database.open(url)
        self._seen: set[UUID] = set()
        self._run(self._empty())

    def write(self, incident: Incident, step: str, at: datetime, *, new: bool = False) -> Incident:
        return self._run(self._write(incident, step, at, new))

    def silence(self, match: str, now: datetime, until: datetime) -> int:
        async def add() -> int:
            async with self._db.begin() as conn:
                return (await silences.add(conn, match=match, starts_at=now, ends_at=until, comment="", author="x")).id

        return self._run(add())

    def end(self, silence: int, now: datetime) -> None:
        async def end() -> None:
            async with self._db.begin() as conn:
                await silences.change(conn, silence, ends_at=now)

        self._run(end())

    def fan_out(self, now: datetime, *, killed: bool = False) -> list[Message]:
        return self._run(self._fan_out(now, killed))

    def close(self) -> None:
        self._run(self._db.close())
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    async def _empty(self) -> None:
        async with self._db.begin() as conn:
            await conn.execute(
                text("""
                truncate apps, incidents, transitions, hushed, silences, decisions, endpoints, deliveries, attempts
                restart identity cascade""")
            )
            for name in ("a", "b"):
                await conn.execute(
                    text("insert into apps (name, environment) values (:name, 'production')"), {"name": name}
                )
            for types in ENDPOINTS:
                await conn.execute(
                    text("""
                        insert into endpoints (url, secret, format, match, types, allow_private)
                        values ('http://x', 's', 'standard', '', :types, true)"""),
                    {"types": list(types) if types else None},
                )

    async def _write(self, incident: Incident, step: str, at: datetime, new: bool) -> Incident:
        async with self._db.begin() as conn:
            if new:
                await incidents.insert_new(conn, incident)
                after: Incident | None = incident
            else:
                current = await incidents.one(conn, incident.id)
                assert current
                newest = replace(incident, version=current.version, revision=current.revision)
                after = await incidents.replace_version(conn, newest)
            assert after
            await tell(conn, after, step, at=at)
            return after

    async def _fan_out(self, now: datetime, killed: bool) -> list[Message]:
        while True:
            async with self._db.begin() as conn:
                done = await fan_out(conn, public_url=PUBLIC_URL, now=now)
                if killed:
                    await conn.rollback()
                    return []
            if not done:
                break
        async with self._db.read() as conn:
            rows = (
                await conn.execute(
                    text("""
                    select c.id, c.endpoint_id, c.incident_id, c.number, c.type, d.id is not null as sent
                    from decisions c left join deliveries d on d.id = c.delivery_id
                    where c.told order by c.id""")
                )
            ).all()
            assert all(row.sent for row in rows)
            assert not (await conn.execute(text("select 1 from transitions where fanned_out_at is null"))).first()
        fresh = [row for row in rows if row.id not in self._seen]
        self._seen |= {row.id for row in fresh}
        return [Message(row.endpoint_id - 1, row.incident_id, row.number, row.type) for row in fresh]
