"""Releases, as `app[api]` lines tell of them: two lines with one timestamp in either order, what was done and its version."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.apps import App
from service.store.pages import Key, Page

# What makes a release, among what is done with an app: building and scaling do not.
_MAKES = """('deploy', 'rollback', 'config_set', 'config_removed', 'addon_attached', 'addon_detached', 'addon_updated',
    'addon_provisioned', 'stack_changed', 'initial', 'logplex_enabled', 'other')"""


@dataclass(frozen=True, slots=True)
class Release:
    """`version` is its number. `action` and `description` say what was done, the line's own words; None where only the
    version was logged. `fields` are that line's."""

    id: UUID
    app: App
    version: int
    at: datetime
    actor: str | None
    action: str | None
    description: str | None
    fields: dict[str, Any]


async def latest(
    conn: AsyncConnection,
    apps: dict[int, App],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Key | None = None,
    limit: int,
) -> Page[Release]:
    """The newest `limit` releases of `apps` in [since, until), newest first; those that follow the key `after`."""
    values = {
        "apps": list(apps),
        "since": since,
        "until": until,
        "after_at": after.at if after else None,
        "after_id": after.id if after else None,
        "limit": limit + 1,
    }
    rows = list(await conn.execute(_LATEST, values))
    found = tuple(_release(row, apps) for row in rows[:limit])
    return Page(found, Key(found[-1].at, found[-1].id) if len(rows) > limit else None)


async def current(conn: AsyncConnection, apps: dict[int, App]) -> dict[int, Release]:
    """The newest release of each app, by the app's id; apps of which none was seen are left out."""
    rows = await conn.execute(_CURRENT, {"apps": list(apps)})
    return {row.app_id: _release(row, apps) for row in rows}


async def newest_fields(
    conn: AsyncConnection, app_ids: Collection[int], actions: Collection[str]
) -> dict[int, dict[str, Any]]:
    """Of each app the fields of the newest thing done with it among `actions`."""
    rows = await conn.execute(_NEWEST, {"apps": list(app_ids), "actions": list(actions)})
    return {row.app_id: row.fields for row in rows}


def _release(row: Row[Any], apps: dict[int, App]) -> Release:
    what = row.what or {}
    return Release(
        id=row.id,
        app=apps[row.app_id],
        version=row.fields["version"],
        at=row.ts,
        actor=row.fields.get("actor") or what.get("actor"),
        action=what.get("action"),
        description=row.description,
        fields=what,
    )


# Each app's releases are walked along the index by app, kind and time from its end, and merged: the bounds and the order are
# rows that begin as the index does, so that the planner has no other.
_OF_APP = "(e.app_id, e.kind) >= (a.id, 'release') and (e.app_id, e.kind) <= (a.id, 'release') and e.kind = 'release'"
_NEWEST_FIRST = "order by e.app_id desc, e.kind desc, e.ts desc, e.id desc"
_IS_RELEASE = "e.fields ->> 'action' = 'release' and e.fields ? 'version'"
_SHOWN = "select e.app_id, e.id, e.ts, e.fields, what.message as description, what.fields as what"
_WHAT = f"""
    left join lateral (
        select w.message, w.fields from events w
        where w.app_id = e.app_id and w.kind = 'release' and w.fields ->> 'action' in {_MAKES}
            and w.ts between e.ts - interval '2 seconds' and e.ts + interval '2 seconds'
        order by greatest(w.ts - e.ts, e.ts - w.ts), w.id
        limit 1) as what on true
"""  # noqa: S608 - here and below, what is put in stands above

_LATEST = text(
    f"""
    {_SHOWN} from (
        select e.* from apps a cross join lateral (
            select e.app_id, e.id, e.ts, e.fields from events e
            where {_OF_APP} and {_IS_RELEASE}
                and (cast(:since as timestamptz) is null or e.ts >= :since)
                and (cast(:until as timestamptz) is null or e.ts < :until)
                and (cast(:after_at as timestamptz) is null or (e.ts, e.id) < (:after_at, cast(:after_id as uuid)))
            {_NEWEST_FIRST} limit :limit) as e
        where a.id = any(:apps)
        order by e.ts desc, e.id desc
        limit :limit) as e
    {_WHAT}
    order by e.ts desc, e.id desc"""  # noqa: S608
).columns(fields=JSONB, what=JSONB)

_CURRENT = text(
    f"""
    {_SHOWN} from apps a cross join lateral (
        select e.app_id, e.id, e.ts, e.fields from events e
        where {_OF_APP} and {_IS_RELEASE}
        {_NEWEST_FIRST} limit 1) as e
    {_WHAT}
    where a.id = any(:apps)"""  # noqa: S608
).columns(fields=JSONB, what=JSONB)

_NEWEST = text(
    f"""
    select e.app_id, e.fields from apps a cross join lateral (
        select e.app_id, e.fields from events e
        where {_OF_APP} and e.fields ->> 'action' = any(:actions)
        {_NEWEST_FIRST} limit 1) as e
    where a.id = any(:apps)"""  # noqa: S608
).columns(fields=JSONB)
