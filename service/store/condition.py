"""What the database says of itself and of what lies about in it: for whoever asks whether all is well."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Server:
    """`version` as the server writes it (`18.1`), `version_num` as a number (180001), `now` by its clock."""

    version: str
    version_num: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Spooled:
    """A web process with frames on its disk: since when the oldest waits, and when it was seen last."""

    holder: str
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Damaged:
    """What of an app went to quarantine lately: how often, and the reason of the last."""

    app: str
    number: int
    reason: str


async def server(conn: AsyncConnection) -> Server:
    """The server behind the connection."""
    row = (await conn.execute(_SERVER)).one()
    return Server(row.version.split()[0], row.number, row.now)


async def spooled(conn: AsyncConnection) -> list[Spooled]:
    """Who keeps frames on a disk, or did when last seen; the oldest first."""
    rows = await conn.execute(text("select holder, since, seen_at from spools where since is not null order by since"))
    return [Spooled(row.holder, row.since, row.seen_at) for row in rows]


async def damaged(conn: AsyncConnection, *, since: datetime) -> list[Damaged]:
    """What went to quarantine since then, by app; the most first."""
    rows = await conn.execute(_DAMAGED, {"since": since})
    return [Damaged(row.name, row.number, row.reason) for row in rows]


_SERVER = text("""
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
        clock_timestamp() as now""")

_DAMAGED = text("""
    select apps.name, count(*) as number, (array_agg(reason order by received_at desc))[1] as reason
    from quarantine join apps on apps.id = app_id where received_at >= :since
    group by apps.name order by number desc, apps.name""")
