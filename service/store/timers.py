"""Incidents to which something happens by time alone: what is due, locked until the transaction ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.clocks import SILENT_SECONDS
from service.store.incidents import Incident, with_ids

# A timer fires when its app's clock is so far past it (`detect/history.py`): lines on their way have come.
_SETTLE_SECONDS = 10


async def may_be_due(conn: AsyncConnection, *, ack_lapse: timedelta) -> bool:
    """Whether there is any of what follows; one question for whoever asks again and again."""
    return bool((await conn.execute(_MAY_BE_DUE, {"lapse": ack_lapse})).scalar_one())


async def due(conn: AsyncConnection, *, started_at: datetime, spooled: bool, limit: int) -> list[Incident]:
    """Incidents whose timer their app's clock is past; those that others hold are left out.

    The wall clock stands in for an app that is silent, as for the rules' timers: not before the worker that asks has been
    there for a while, and not while frames are `spooled` or pending.
    """
    asked = {"started_at": started_at, "spooled": spooled, "limit": limit}
    return await with_ids(conn, list((await conn.execute(_DUE, asked)).scalars()))


async def acknowledged_before(conn: AsyncConnection, at: datetime, *, limit: int) -> list[Incident]:
    """Incidents that somebody has looked after since before that time; those that others hold are left out."""
    return await with_ids(conn, list((await conn.execute(_ACKNOWLEDGED, {"at": at, "limit": limit})).scalars()))


async def looking_for_traceback(conn: AsyncConnection, now: datetime, *, limit: int) -> list[Incident]:
    """Incidents whose traceback is to be looked for by now; those that others hold are left out."""
    return await with_ids(conn, list((await conn.execute(_LOOKING, {"now": now, "limit": limit})).scalars()))


async def look_later(conn: AsyncConnection, looked: Sequence[tuple[Incident, datetime | None]]) -> None:
    """When the traceback of each of these, which the caller holds, is to be looked for again (None: no more)."""
    if looked:
        given = {
            "apps": [one.app_id for one, _ in looked],
            "ids": [one.id for one, _ in looked],
            "ats": [at for _, at in looked],
        }
        await conn.execute(_LOOK_LATER, given)


_LOOK_LATER = text("""
    update incidents set traceback_at = later.at, revision = revision + 1
    from unnest(cast(:apps as int[]), cast(:ids as uuid[]), cast(:ats as timestamptz[])) as later (app_id, id, at)
    where incidents.app_id = later.app_id and incidents.id = later.id""")

_MAY_BE_DUE = text("""
    select exists (select from incidents where timer_at <= now())
        or exists (select from incidents where traceback_at <= now())
        or exists (select from incidents where status = 'acknowledged'
            and acknowledged_at <= now() - cast(:lapse as interval))""")

_DUE = text(f"""
    select i.id from incidents i join clocks c on c.app_id = i.app_id
    where i.timer_at is not null and i.timer_at <= now() and (
        i.timer_at <= c.newest_at - interval '{_SETTLE_SECONDS} seconds'
        or (i.timer_at <= now() - interval '{_SETTLE_SECONDS} seconds' and not :spooled
            and greatest(c.heard_at, :started_at) <= now() - interval '{SILENT_SECONDS} seconds'
            and not exists (select from pending p where p.app_id = i.app_id)))
    order by i.timer_at limit :limit for update of i skip locked""")  # noqa: S608 - the only values in it are numbers

_ACKNOWLEDGED = text("""
    select id from incidents where status = 'acknowledged' and acknowledged_at <= :at
    order by acknowledged_at limit :limit for update skip locked""")

_LOOKING = text("""
    select id from incidents where traceback_at <= :now
    order by traceback_at limit :limit for update skip locked""")
