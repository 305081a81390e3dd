"""Promotions of flags, as the console's lines tell of them: each one's lines together, in the order of their own times."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.apps import App
from service.store.pages import Key, Page

# What ends a promotion (DESIGN section 13).
_END_STATES = ("deployed", "failed", "rolled_back")
_END_ACTION = "ops_complete"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion in `app`, the console. `fields` are the newest of each name that its lines gave; `ended_at` is None while it
    is under way."""

    app: App
    id: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    fields: dict[str, Any]


async def latest(
    conn: AsyncConnection,
    apps: dict[int, App],
    *,
    state: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Key | None = None,
    limit: int,
) -> Page[Promotion]:
    """The `limit` promotions of `apps` that began last in [since, until), newest first; those that follow the key `after`."""
    values = {
        "apps": list(apps),
        "state": state,
        "since": since,
        "until": until,
        "after_at": after.at if after else None,
        "after_id": after.id if after else None,
        "limit": limit + 1,
    }
    begun = list(await conn.execute(_BEGUN, values))
    page = begun[:limit]
    wanted = {"apps": [row.app_id for row in page], "ids": [row.promotion_id for row in page]}
    lines: dict[tuple[int, str], list[Any]] = {(row.app_id, row.promotion_id): [] for row in page}
    for row in await conn.execute(_LINES, wanted):
        lines[row.app_id, row.promotion_id].append(row)
    found = tuple(_promotion(apps[app_id], id, rows) for (app_id, id), rows in lines.items() if rows)
    return Page(found, Key(page[-1].ts, page[-1].id) if len(begun) > limit else None)


def _promotion(app: App, id: str, lines: list[Any]) -> Promotion:
    fields: dict[str, Any] = {}
    for line in lines:
        fields.update(line.fields)
    ends = [line.ts for line in lines if _ends(line.fields)]
    begun_again = [line.ts for line in lines if line.fields.get("state") not in (None, *_END_STATES)]
    over = bool(ends) and (not begun_again or max(ends) >= max(begun_again))
    return Promotion(app, id, lines[0].ts, lines[-1].ts, max(ends) if over else None, fields)


def _ends(fields: dict[str, Any]) -> bool:
    return fields.get("state") in _END_STATES or fields.get("action") == _END_ACTION


# A promotion begins with the first of its lines, which is the one that has none before it.
_BEGUN = text("""
    select begun.* from apps a cross join lateral (
        select e.app_id, e.ts, e.id, e.fields ->> 'promotion_id' as promotion_id from events e
        where (e.app_id, e.kind) >= (a.id, 'promotion') and (e.app_id, e.kind) <= (a.id, 'promotion')
            and e.kind = 'promotion' and e.fields ->> 'promotion_id' is not null
            and (cast(:since as timestamptz) is null or e.ts >= :since)
            and (cast(:until as timestamptz) is null or e.ts < :until)
            and (cast(:after_at as timestamptz) is null or (e.ts, e.id) < (:after_at, cast(:after_id as uuid)))
            and e.id = (
                select o.id from events o
                where o.kind = 'promotion' and o.app_id = a.id
                    and o.fields ->> 'promotion_id' = e.fields ->> 'promotion_id'
                order by o.ts, o.id
                limit 1)
            and (cast(:state as text) is null or :state = (
                select o.fields ->> 'state' from events o
                where o.kind = 'promotion' and o.app_id = a.id
                    and o.fields ->> 'promotion_id' = e.fields ->> 'promotion_id' and o.fields ? 'state'
                order by o.ts desc, o.id desc
                limit 1))
        order by e.app_id desc, e.kind desc, e.ts desc, e.id desc
        limit :limit) as begun
    where a.id = any(:apps)
    order by begun.ts desc, begun.id desc
    limit :limit""")

_LINES = text("""
    select e.app_id, e.ts, e.fields, e.fields ->> 'promotion_id' as promotion_id
    from unnest(cast(:apps as int[]), cast(:ids as text[])) as wanted (app_id, promotion_id)
    join events e on e.app_id = wanted.app_id and e.fields ->> 'promotion_id' = wanted.promotion_id
    where e.kind = 'promotion'
    order by e.ts, e.id""").columns(fields=JSONB)
