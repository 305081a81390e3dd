"""What waits between the rooms: how much, and for how long already. Cheap enough to be asked every few seconds."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Severity


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the road: how much waits there, and for how many seconds the oldest has been late (0: nothing is)."""

    name: str
    waiting: int
    late_s: float


@dataclass(frozen=True, slots=True)
class Ongoing:
    """How many incidents of a rule and severity are not resolved."""

    rule: str
    severity: str
    status: str
    number: int


async def stages(conn: AsyncConnection) -> list[Stage]:
    """What waits, in the order of the road: chunks to be folded, transitions to be fanned out, deliveries to be sent.

    A delivery is late once it is due; one that has failed is not, until it is due again. Index scans, save for `pending`, which
    holds what the last half second brought: 10 ms with 10,000 rows in it, as after an outage.
    """
    rows = await conn.execute(_STAGES)
    return [Stage(row.name, row.waiting, max(0.0, float(row.late_s or 0))) for row in rows]


async def ongoing(conn: AsyncConnection) -> list[Ongoing]:
    """The incidents that are not resolved, counted by rule, severity and status."""
    rows = await conn.execute(_ONGOING)
    return [Ongoing(row.rule, Severity(row.severity).label, row.status, row.number) for row in rows]


_STAGES = text("""
    select 'fold' as name, count(*) as waiting, extract(epoch from clock_timestamp() - min(received_at)) as late_s
    from pending
    union all
    select 'fan_out', count(*), extract(epoch from clock_timestamp() - min(made_at))
    from transitions where fanned_out_at is null
    union all
    select 'deliver', count(*), extract(epoch from clock_timestamp() - min(due_at))
    from deliveries join endpoints on endpoints.id = deliveries.endpoint_id
    where status = 'pending' and removed_at is null and disabled_reason is null""")

_ONGOING = text("""
    select rule, severity, status, count(*) as number from incidents where status <> 'resolved'
    group by rule, severity, status order by rule, severity, status""")
