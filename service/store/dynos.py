"""Dynos, as their own lines tell of them: each one's newest state by the lines' own time, whenever the lines came.

Asked of the events each time, not kept: Heroku restarts every dyno within 28 hours (Heroku: Dyno Restarts), so that one
that has said nothing for two days, by its app's clock, is no more; and two days of a dyno's life are few events.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# One-off dynos come and go by the hundred; once they are complete they are shown only when asked for.
COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Dyno:
    """`state` since `since`; `exit_status` is how its process last ended, `crashes` how often it crashed within the two days
    up to the app's newest line."""

    app_id: int
    name: str
    state: str
    since: datetime
    exit_status: int | None
    crashes: int

    @property
    def process_type(self) -> str:
        """`web` of `web.1`, and of Fir's `web-abc-123`."""
        return self.name.partition(".")[0] if "." in self.name else self.name.partition("-")[0]


async def current(conn: AsyncConnection, app_ids: Collection[int], *, state: str | None = None) -> list[Dyno]:
    """The dynos of these apps in that state; else all but those that are complete. By app and name."""
    rows = await conn.execute(_CURRENT, {"apps": list(app_ids), "state": state, "complete": COMPLETE})
    return [Dyno(row.app_id, row.dyno, row.state, row.since, row.exit_status, row.crashes) for row in rows]


# The bounds are rows that begin as the index by app, kind and time does, so that the planner has no other.
_CURRENT = text("""
    select * from (
        select a.id as app_id, e.dyno,
            (array_agg(e.fields ->> 'to' order by e.counts_at desc, e.id desc)
                filter (where e.fields ? 'to'))[1] as state,
            (array_agg(e.counts_at order by e.counts_at desc, e.id desc) filter (where e.fields ? 'to'))[1] as since,
            (array_agg(cast(e.fields ->> 'exit_status' as bigint) order by e.counts_at desc, e.id desc)
                filter (where e.fields ? 'exit_status'))[1] as exit_status,
            count(*) filter (where e.fields ->> 'to' = 'crashed') as crashes
        from apps a
        cross join lateral (
            select greatest(
                (select newest_at from clocks where app_id = a.id),
                (select max(newest_at) from pending where app_id = a.id)) as at
        ) as clock
        cross join lateral (
            select id, dyno, fields, least(ts, received_at) as counts_at from events
            where (app_id, kind, ts) > (a.id, 'dyno_state', clock.at - interval '2 days')
                and (app_id, kind) <= (a.id, 'dyno_state')
        ) as e
        where a.id = any(:apps) and e.dyno is not null
        group by a.id, e.dyno
    ) as dynos
    where state is not null
        and case when cast(:state as text) is null then state <> :complete else state = :state end
    order by app_id, dyno""")
