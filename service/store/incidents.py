"""Incidents: one occurrence of a rule at a subject, with all that is known of it.

Each step of its life makes a new version, each write a new revision: who has read an older one must read it again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, Uuid, and_, cast, func, literal, null, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, array, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Severity
from parsers.filters import Node
from parsers.filters.tree import Everything
from service.store.apps import known as known_apps
from service.store.filter_sql import Columns, where
from service.store.tables import apps, incidents

_ALL = Everything()
_FIELDS = ("rule", "subject", "status", "count", "title", "diagnosis")


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of `incidents` with its app's name and environment. JSON parts are as they go out. `inhibits` are the rules that
    it silences in its app; `timer_at`, on the app's clock, is when it escalates or has stopped flapping. Of `count`, its last
    alarm has seen what is beyond `counted_before`."""

    id: UUID
    app_id: int
    app: str
    environment: str
    version: int
    rule: str
    subject: str
    severity: Severity
    status: str
    title: str
    diagnosis: str
    remedies: list[str]
    verify: str
    runbook: str | None
    opened_at: datetime
    last_seen_at: datetime
    acknowledged_at: datetime | None
    escalated_at: datetime | None
    resolved_at: datetime | None
    count: int
    release: Mapping[str, Any] | None
    evidence: list[dict[str, Any]]
    context: list[dict[str, Any]]
    traceback: list[str] | None
    inhibits: tuple[str, ...] = ()
    flapping_since: datetime | None = None
    timer_at: datetime | None = None
    traceback_at: datetime | None = None
    gaps: list[dict[str, Any]] = field(default_factory=list)  # when nobody heard the app meanwhile
    revision: int = 1
    counted_before: int = 0

    @property
    def key(self) -> str:
        """What names it outside, through reopenings too."""
        return f"{self.rule}/{self.app}/{self.subject}"


def _read(row: Row[Any]) -> Incident:
    fields = dict(row._mapping)
    return Incident(**{**fields, "severity": Severity(fields["severity"]), "inhibits": tuple(fields["inhibits"])})


def _select() -> Select[Any]:
    return select(incidents, apps.c.name.label("app"), apps.c.environment).join(apps, apps.c.id == incidents.c.app_id)


async def newest(conn: AsyncConnection, app_id: int, *, rule: str, subject: str) -> Incident | None:
    """The one that is ongoing, else the one that was resolved last."""
    found = await conn.execute(
        _select()
        .where(incidents.c.app_id == app_id, incidents.c.rule == rule, incidents.c.subject == subject)
        .order_by(incidents.c.resolved_at.desc().nulls_first(), incidents.c.opened_at.desc())
        .limit(1)
    )
    row = found.one_or_none()
    return _read(row) if row else None


async def insert_new(conn: AsyncConnection, incident: Incident) -> None:
    """Keeps a new incident."""
    await conn.execute(insert(incidents).values(_columns(incident)))


async def replace_version(conn: AsyncConnection, incident: Incident) -> Incident | None:
    """Writes `incident`, which a step has changed, over what is stored and gives its next version; None if anything else was
    written in between."""
    return await _write(conn, incident, version=incident.version + 1)


async def refresh(conn: AsyncConnection, incident: Incident) -> Incident | None:
    """The same where only more is known of it, without a step: its version stays."""
    return await _write(conn, incident, version=incident.version)


async def see(conn: AsyncConnection, incident: Incident) -> Incident | None:
    """The same where it was only seen again: `evidence`, and what `lifecycle.seen` says of it. What else there is is long."""
    return await _write(conn, incident, version=incident.version, columns=_SEEN)


_SEEN = ("opened_at", "last_seen_at", "count", "gaps", "evidence", "revision")


async def _write(
    conn: AsyncConnection, incident: Incident, *, version: int, columns: Collection[str] | None = None
) -> Incident | None:
    after = replace(incident, version=version, revision=incident.revision + 1)
    written = await conn.execute(
        update(incidents)
        .where(
            incidents.c.app_id == incident.app_id,
            incidents.c.id == incident.id,
            incidents.c.version == incident.version,
            incidents.c.revision == incident.revision,
        )
        .values({name: value for name, value in _columns(after).items() if columns is None or name in columns})
    )
    return after if written.rowcount == 1 else None


# Not by `asdict`, which copies the JSON parts piece by piece: 4 ms.
_COLUMNS = [one.name for one in fields(Incident) if one.name not in ("app", "environment")]


def _columns(incident: Incident) -> dict[str, Any]:
    columns = {name: getattr(incident, name) for name in _COLUMNS}
    return {**columns, "severity": int(incident.severity), "inhibits": list(incident.inhibits)}


async def one(conn: AsyncConnection, incident_id: UUID, *, lock: bool = False) -> Incident | None:
    """The incident with this id; with `lock` nobody else changes it before the transaction ends."""
    query = _select().where(incidents.c.id == incident_id)
    row = (await conn.execute(query.with_for_update(of=incidents) if lock else query)).one_or_none()
    return _read(row) if row else None


# What the filter language speaks of: `incident_as_event` of `service/notify/routes.py` says the same of an incident's JSON.
_AS_EVENT: Columns = {
    "id": null().cast(Uuid),
    "app_id": incidents.c.app_id,
    "ts": incidents.c.opened_at,
    "received_at": incidents.c.opened_at,
    "source": literal("drainwatch", Text),
    "process": literal("incident", Text),
    "dyno": null().cast(Text),
    "kind": literal("incident", Text),
    "code": null().cast(Text),
    "severity": incidents.c.severity,
    "message": incidents.c.title,
    "flags": cast(array([], type_=Text), ARRAY(Text)),
    "fields": func.jsonb_build_object(
        *(part for name in _FIELDS for part in (literal(name, Text), incidents.c[name])),
        literal("key", Text),
        incidents.c.rule + "/" + apps.c.name + "/" + incidents.c.subject,
        type_=JSONB,
    ),
}


async def page(
    conn: AsyncConnection,
    *,
    app: str | None = None,
    environment: str | None = None,
    rule: str | None = None,
    status: str | None = None,
    severity: Severity | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    q: Node = _ALL,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Incident]:
    """Incidents that began in [since, until) and are in the filter `q`, newest first, from behind `before` (opened_at, id) on.

    `severity` is the least that is wanted.
    """
    equal = {apps.c.name: app, apps.c.environment: environment, incidents.c.rule: rule, incidents.c.status: status}
    wanted = [column == value for column, value in equal.items() if value is not None]
    if severity is not None:
        wanted.append(incidents.c.severity >= int(severity))
    if since is not None:
        wanted.append(incidents.c.opened_at >= since)
    if until is not None:
        wanted.append(incidents.c.opened_at < until)
    if q != _ALL:
        wanted.append(where(q, await known_apps(conn), _AS_EVENT))
    if before is not None:
        wanted.append(tuple_(incidents.c.opened_at, incidents.c.id) < before)
    found = await conn.execute(
        _select().where(and_(True, *wanted)).order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit)
    )
    return [_read(row) for row in found]


async def ongoing_of(conn: AsyncConnection, app_id: int) -> list[Incident]:
    """The app's incidents that are not resolved."""
    # To the letter as the partial index has it.
    found = await conn.execute(_select().where(incidents.c.app_id == app_id, text("status <> 'resolved'")))
    return [_read(row) for row in found]


async def unresolved(conn: AsyncConnection, app_ids: Collection[int]) -> dict[int, tuple[int, Severity]]:
    """Of each of these apps with incidents that are not resolved: how many, and how bad the worst is."""
    # To the letter as the partial index has it.
    query = (
        select(incidents.c.app_id, func.count().label("count"), func.max(incidents.c.severity).label("worst"))
        .where(text("status <> 'resolved'"), incidents.c.app_id.in_(app_ids))
        .group_by(incidents.c.app_id)
    )
    return {row.app_id: (row[1], Severity(row.worst)) for row in await conn.execute(query)}


async def with_ids(conn: AsyncConnection, ids: Collection[UUID]) -> list[Incident]:
    """Those with these ids, the first opened first."""
    if not ids:
        return []
    query = _select().where(incidents.c.id.in_(ids)).order_by(incidents.c.opened_at, incidents.c.id)
    return [_read(row) for row in await conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Gist:
    """An incident as far as it is one line; `notifications`: how often somebody was told of it."""

    id: UUID
    app: str
    environment: str
    rule: str
    subject: str
    severity: Severity
    status: str
    title: str
    diagnosis: str
    count: int
    opened_at: datetime
    resolved_at: datetime | None
    notifications: int


async def gists(
    conn: AsyncConnection,
    *,
    since: datetime,
    until: datetime | None = None,
    app: str | None = None,
    limit: int | None = None,
) -> list[Gist]:
    """The last opened first: those that opened from `since` on, or with `until` those that stood at some time in between."""
    asked = {"since": since, "until": until, "app": app, "limit": limit}
    rows = await conn.execute(_GISTS, asked)
    return [Gist(**{**row._mapping, "severity": Severity(row.severity)}) for row in rows]


_GISTS = text("""
    select i.id, a.name as app, a.environment, i.rule, i.subject, i.severity, i.status, i.title, i.diagnosis, i.count,
        i.opened_at, i.resolved_at, (
            select count(distinct (d.number, d.at)) from decisions d
            where d.app_id = i.app_id and d.incident_id = i.id and d.told) as notifications
    from incidents i join apps a on a.id = i.app_id
    where (cast(:app as text) is null or a.name = :app)
        and case when cast(:until as timestamptz) is null then i.opened_at >= :since
            else i.opened_at <= :until and (i.resolved_at is null or i.resolved_at >= :since) end
    order by i.opened_at desc, i.id desc
    limit cast(:limit as integer)""")
