"""Which workers live: each says so now and then, by the database's clock."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SAY_SECONDS = 10
# Who has said nothing for so long is dead, or cannot reach the database, which comes to the same.
_GONE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Workers:
    """How many live, and when the last one of all was seen; None: there has been none these days."""

    living: int
    seen_at: datetime | None


async def say(conn: AsyncConnection, holder: str) -> None:
    """The worker `holder` lives. Forgets those that have died without a word long ago."""
    await conn.execute(_SAY, {"holder": holder})
    await conn.execute(text("delete from workers where seen_at < now() - interval '7 days'"))


async def leave(conn: AsyncConnection, holder: str) -> None:
    """The worker ends. Its row stays, as that of one that lives no more: it says since when."""
    await conn.execute(
        text(f"update workers set seen_at = now() - interval '{_GONE_SECONDS} seconds' where holder = :holder"),  # noqa: S608
        {"holder": holder},
    )


async def seen(conn: AsyncConnection) -> Workers:
    """The workers that live, and when one was seen last."""
    row = (await conn.execute(_SEEN)).one()
    return Workers(row.living, row.seen_at)


_SAY = text("""
    insert into workers (holder, started_at, seen_at) values (:holder, now(), now())
    on conflict (holder) do update set seen_at = excluded.seen_at""")

_SEEN = text(f"""
    select count(*) filter (where seen_at > now() - interval '{_GONE_SECONDS} seconds') as living, max(seen_at) as seen_at
    from workers""")  # noqa: S608 - the only value in it is the number above
