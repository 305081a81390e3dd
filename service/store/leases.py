"""A worker's turn at an app: a row with a deadline by the database's clock and a token that fences the commit.

No session locks: they do not survive PgBouncer's transaction mode, and a worker that hangs would hold them for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import spools
from service.store.clocks import SILENT_SECONDS

# A dead worker's apps are free after this time (DESIGN section 5: within 5 s, with a poll and the fold, on a busy machine too).
LEASE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fold one app, as long as its `token` is the app's newest; of what came from `spooled_since` on (None: of
    nothing) some may still be on a disk."""

    app_id: int
    app: str
    environment: str
    holder: str
    token: int
    spooled_since: datetime | None = None


_CLAIM = text(
    f"""
    with spooled (since) as ({spools.OLDEST}
    ), due as (
        select app_id from (
            select distinct app_id from pending
            where received_at < coalesce((select since from spooled), 'infinity')
        ) as waiting
        union
        select app_id from clocks
        where (wake_at <= now() - interval '{SILENT_SECONDS} seconds'
            or minute_at <= now() - interval '{60 + SILENT_SECONDS} seconds')
          and (select since from spooled) is null
          and greatest(heard_at, :started_at) <= now() - interval '{SILENT_SECONDS} seconds'
    ), free as ( -- a turn that is under way, in whatever process, is not waited for
        select taken.app_id, taken.expires_at from leases as taken
        where taken.app_id in (select app_id from due) and taken.app_id <> all (cast(:save as int[]))
          and (taken.holder = :holder or taken.expires_at < now())
        order by taken.expires_at, taken.app_id limit :most -- who was served longest ago is served first
        for update skip locked
    ), served as (
        select app_id, expires_at from free
        union all
        select app_id, null from due
        where app_id <> all (cast(:save as int[])) and not exists (select from leases where leases.app_id = due.app_id)
        order by expires_at nulls first, app_id limit :most
    ), claimed as (
        insert into leases as held (app_id, holder, token, expires_at)
        select app_id, :holder, 1, now() + interval '{LEASE_SECONDS} seconds' from served
        on conflict (app_id) do update
        set holder = excluded.holder, expires_at = excluded.expires_at,
            token = held.token + case when held.holder = excluded.holder then 0 else 1 end
        where held.holder = excluded.holder or held.expires_at < now()
        returning app_id, token
    )
    select claimed.app_id, apps.name, apps.environment, claimed.token, (select since from spooled) as spooled_since
    from claimed join apps on apps.id = claimed.app_id order by claimed.app_id
    """  # noqa: S608 - the only values in it are the numbers above
)


async def claim(
    conn: AsyncConnection,
    *,
    holder: str,
    started_at: datetime,
    save: Collection[int] = (),
    most: int,
) -> list[Lease]:
    """Turns at up to `most` apps, none of them in `save`, that have something to fold: lines that wait; in silence, a timer
    that is due, or a minute of traffic that is over.

    `started_at` is when this worker began, by the database's clock: time in which nobody could hear is no silence. Nor is
    there any while frames are still on a disk, and what came since the oldest of those waits for them (`spools.py`).

    A transaction by itself, so one that commits by itself will do.
    """
    given = {"holder": holder, "started_at": started_at, "save": list(save), "most": most}
    rows = await conn.execute(_CLAIM, given)
    return [Lease(row.app_id, row.name, row.environment, holder, row.token, row.spooled_since) for row in rows]


async def release_all(conn: AsyncConnection, *, holder: str) -> None:
    """Ends every turn of `holder`, so that another need not wait for the deadline."""
    await conn.execute(text("update leases set expires_at = now() where holder = :holder"), {"holder": holder})
