"""Each app's clock: the newest event time folded, when lines were last heard, and the earliest timer on it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

# Without a line for this long the wall clock stands in for the newest event time (DESIGN section 5).
SILENT_SECONDS = 10
SILENT = timedelta(seconds=SILENT_SECONDS)


@dataclass(frozen=True, slots=True)
class Clock:
    """`newest_at` on the events' time, `heard_at` on the wall's. On the app's clock: `wake_at` is the earliest timer of its
    rules, `minute_at` the earliest minute of its traffic that is still open. `unfinished`, as JSON, is what its next chunk may
    go on with."""

    newest_at: datetime
    heard_at: datetime
    wake_at: datetime | None = None
    minute_at: datetime | None = None
    unfinished: dict[str, Any] | None = None


async def now(conn: AsyncConnection) -> datetime:
    """The database's clock."""
    at: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
    return at
