"""What is to be known for saying whether all is well, asked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.errors import SettingError, StoreAway
from service.notify.deliver import PER_ENDPOINT
from service.store import backlog, condition, deliveries, drains, endpoints, partitions, schema, workers
from service.store.backlog import Stage
from service.store.condition import Damaged, Server, Spooled
from service.store.database import Database
from service.store.drains import Drain
from service.store.endpoints import EndpointRow
from service.store.workers import Workers

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Store:
    """What the database knows, as of `server.now`. `missing` are partitions that today and the days to come need and
    that should have been made by now."""

    server: Server
    missing: Sequence[str]
    workers: Workers
    stages: Sequence[Stage]
    overdue: int
    spooled: Sequence[Spooled]
    drains: Sequence[Drain]
    damaged: Sequence[Damaged]
    endpoints: Sequence[EndpointRow]


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `now` is by this process's clock, `public_url` where people and Heroku are to reach it. `store` is None where
    the database does not say: `away` is why then, or `schema` what does not fit there."""

    now: datetime
    public_url: str
    store: Store | None = None
    away: str | None = None
    schema: str | None = None


async def gather(db: Database, *, public_url: str) -> Facts:
    """Asks the database. Raises nothing where it is away or has another schema: those are facts."""
    now = datetime.now(UTC)
    try:
        async with db.read() as conn:
            await schema.check(conn)
            now = datetime.now(UTC)
            server = await condition.server(conn)
            store = Store(
                server=server,
                missing=await partitions.missing(conn, server.now),
                workers=await workers.seen(conn),
                stages=await backlog.stages(conn),
                overdue=await deliveries.overdue(conn, per_endpoint=PER_ENDPOINT),
                spooled=await condition.spooled(conn),
                drains=await drains.listed(conn),
                damaged=await condition.damaged(conn, since=server.now - LATELY),
                endpoints=[one for one in await endpoints.listed(conn) if one.format != endpoints.HEARTBEAT],
            )
    except StoreAway as error:
        return Facts(now, public_url, away=str(error))
    except SettingError as error:
        return Facts(now, public_url, schema=str(error))
    return Facts(now, public_url, store)
