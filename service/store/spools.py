"""Which frames are still on their way: web processes tell here since when the oldest frame waits on their disk.

An app's clock must not run ahead of those frames, or what they say would come too late to count (`incidents/watch.py`).
"""

from datetime import datetime

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A process says so at least this often while it can.
SAY_SECONDS = 1.0
# Nobody waits for a process that has said nothing for so long: it is gone, or gets nowhere with what it has.
_GONE_SECONDS = 10
# After the database was away each process needs a moment to say what it has kept; a dead one is waited for in vain.
_GRACE_SECONDS = 3

_SAY = """
    insert into spools (holder, since, seen_at) values ($1, $2, now())
    on conflict (holder) do update set since = excluded.since, seen_at = excluded.seen_at
"""
_FORGET_OLD = "delete from spools where seen_at < now() - interval '1 day'"


# `oldest` as SQL, for whoever asks something else with it.
OLDEST = f"""
    select min(case when seen_at >= :started_at then since else '2000-01-01+00' end) from spools
    where (since is not null and seen_at >= :started_at and seen_at > now() - interval '{_GONE_SECONDS} seconds')
        or (seen_at < :started_at and now() < :started_at + interval '{_GRACE_SECONDS} seconds')
    """  # noqa: S608 - the only values in it are the numbers above
_OLDEST = text(OLDEST)


async def say(conn: "asyncpg.Connection[asyncpg.Record]", holder: str, since: datetime | None) -> None:
    """The process `holder` lives, and the oldest frame that waits on its disk came at `since`; None: none waits."""
    await conn.execute(_SAY, holder, since)


async def leave(conn: "asyncpg.Connection[asyncpg.Record]", holder: str) -> None:
    """The process ends, and no frame waits on its disk. Forgets those that have ended without a word long ago, too."""
    await conn.execute("delete from spools where holder = $1", holder)
    await conn.execute(_FORGET_OLD)


async def oldest(conn: AsyncConnection, *, started_at: datetime) -> datetime | None:
    """Since when the oldest frame waits on any disk; None: none waits.

    `started_at` is when the caller's connection with the database began. As long as a process that was known before has not
    spoken since, a frame of any age may wait there.
    """
    found: datetime | None = await conn.scalar(_OLDEST, {"started_at": started_at})
    return found
