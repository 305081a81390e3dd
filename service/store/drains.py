"""Drains: who may post for which app. A removed drain keeps its row, since frames name it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, cast, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.drain_counts import NO_DRAIN, DrainCounts
from service.store.tables import apps, drain_counts, drain_refusals, drains


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain as people see it: everything but its secret; `counts` as they were some seconds ago."""

    id: int
    app_id: int
    app: str
    environment: str
    logplex_token: str | None
    created_at: datetime
    previous_until: datetime | None
    counts: DrainCounts


@dataclass(frozen=True, slots=True)
class DrainCredentials:
    """What a post must prove: a secret whose SHA-256 is `secret_hash`, or `previous_hash` before `previous_until`; and the
    `Logplex-Drain-Token`, where one is pinned."""

    id: int
    app_id: int
    app: str
    environment: str
    secret_hash: bytes
    previous_hash: bytes | None
    previous_until: datetime | None
    logplex_token: str | None


async def find(conn: AsyncConnection, app_name: str) -> list[DrainCredentials]:
    """The drains that may post for the app of that name, oldest first; none for an app that is not registered."""
    return [_credentials(row) for row in await conn.execute(_of_apps(*_PROOF).where(apps.c.name == app_name))]


async def credentials(conn: AsyncConnection) -> list[DrainCredentials]:
    """All drains that may post, oldest first."""
    return [_credentials(row) for row in await conn.execute(_of_apps(*_PROOF))]


async def listed(conn: AsyncConnection) -> list[Drain]:
    """All drains that are not removed, oldest first."""
    return [_drain(row) for row in await conn.execute(_seen())]


async def one(conn: AsyncConnection, drain_id: int) -> Drain | None:
    """That drain, or None where there is none, or none any more."""
    row = (await conn.execute(_seen().where(drains.c.id == drain_id))).one_or_none()
    return _drain(row) if row else None


async def add(conn: AsyncConnection, *, app_id: int, secret_hash: bytes, logplex_token: str | None) -> Drain:
    """A new drain of that app."""
    values = {"app_id": app_id, "secret_hash": secret_hash, "logplex_token": logplex_token}
    made = await conn.execute(insert(drains).values(values).returning(drains.c.id))
    row = (await conn.execute(_seen().where(drains.c.id == made.scalar_one()))).one()
    return _drain(row)


async def replace_secret(conn: AsyncConnection, drain_id: int, *, secret_hash: bytes, previous_until: datetime) -> bool:
    """The drain takes `secret_hash` from now on, and the one it took so far until `previous_until`. False: no such drain."""
    changed = await conn.execute(
        update(drains)
        .where(drains.c.id == drain_id, drains.c.removed_at.is_(None))
        .values(previous_hash=drains.c.secret_hash, previous_until=previous_until, secret_hash=secret_hash)
    )
    return changed.rowcount == 1


async def pin_token(conn: AsyncConnection, drain_id: int, logplex_token: str | None) -> None:
    """The drain takes frames with that `Logplex-Drain-Token` alone; None: with any."""
    await conn.execute(update(drains).where(drains.c.id == drain_id).values(logplex_token=logplex_token))


async def remove(conn: AsyncConnection, drain_id: int) -> bool:
    """The drain may not post any more. False where there was no such drain."""
    removed = await conn.execute(
        update(drains).where(drains.c.id == drain_id, drains.c.removed_at.is_(None)).values(removed_at=func.now())
    )
    return removed.rowcount == 1


_PROOF = (drains.c.secret_hash, drains.c.previous_hash, drains.c.previous_until, drains.c.logplex_token)


def _seen() -> Select[Any]:
    """The drains with what they have sent."""
    refused = (
        select(
            func.jsonb_object_agg(cast(drain_refusals.c.status, Text), drain_refusals.c.count).label("refusals"),
            func.max(drain_refusals.c.last_at).label("refused_at"),
        )
        .where(drain_refusals.c.app_id == drains.c.app_id, drain_refusals.c.drain_id.in_((NO_DRAIN, drains.c.id)))
        .lateral("refused")
    )
    kept = (drain_counts.c.app_id == drains.c.app_id) & (drain_counts.c.drain_id == drains.c.id)
    counts = [drain_counts.c[name] for name in _COUNTS]
    return (
        _of_apps(drains.c.logplex_token, drains.c.created_at, drains.c.previous_until, *counts, refused)
        .outerjoin(drain_counts, kept)
        .outerjoin(refused, true())
    )


def _of_apps(*columns: Any) -> Select[Any]:
    return (
        select(drains.c.id, drains.c.app_id, apps.c.name, apps.c.environment, *columns)
        .join(apps, apps.c.id == drains.c.app_id)
        .where(drains.c.removed_at.is_(None))
        .order_by(drains.c.id)
    )


def _credentials(row: Any) -> DrainCredentials:
    return DrainCredentials(
        id=row.id,
        app_id=row.app_id,
        app=row.name,
        environment=row.environment,
        secret_hash=row.secret_hash,
        previous_hash=row.previous_hash,
        previous_until=row.previous_until,
        logplex_token=row.logplex_token,
    )


def _drain(row: Any) -> Drain:
    return Drain(
        id=row.id,
        app_id=row.app_id,
        app=row.name,
        environment=row.environment,
        logplex_token=row.logplex_token,
        created_at=row.created_at,
        previous_until=row.previous_until,
        counts=_drain_counts(row),
    )


# The columns of `drain_counts` that are members of a DrainCounts.
_COUNTS = tuple(column.name for column in drain_counts.c if column.name not in ("app_id", "drain_id"))


def _drain_counts(row: Any) -> DrainCounts:
    found = {name: value for name in (*_COUNTS, "refusals", "refused_at") if (value := row._mapping[name]) is not None}
    return DrainCounts(**found)
