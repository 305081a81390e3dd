"""A turn at an app: what it begins with and what it leaves behind, one statement each.

Most of what a busy app costs a worker, and most of what a quiet one waits for, are statements: each is two round trips (nothing
can be prepared under a name) and half a millisecond of the worker's processor. So what is always asked together is asked
at once, and what is always written together written at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.times import pack_times
from service.store.clocks import Clock
from service.store.database import dump_json
from service.store.leases import LEASE_SECONDS, Lease
from service.store.pending import Pending
from service.store.rule_states import RECORDING, RuleState, recording
from service.store.traffic import KeptMinute


@dataclass(frozen=True, slots=True)
class Begun:
    """The app's oldest rows that wait, by receipt, and its clock (None: it never spoke)."""

    rows: list[Pending]
    clock: Clock | None


# Of one snapshot, taken before the lease is fenced. If that succeeds nobody has folded the app since it was claimed: who takes
# it over gives the lease another token, and a claim passes over an app that is still being folded.
_BEGIN = text(
    f"""
    with held as (
        update leases set expires_at = now() + interval '{LEASE_SECONDS} seconds'
        where app_id = :app_id and holder = :holder and token = :token returning app_id
    )
    select c.newest_at as clock_at, c.heard_at, c.wake_at, c.minute_at,
        case when row_number() over (order by p.chunk_id) = 1 then c.unfinished end as goes_on,
        p.chunk_id, p.received_at, p.newest_at, p.events, p.traffic, p.unfinished
    from held left join clocks c on c.app_id = held.app_id left join lateral (
        select * from pending
        where app_id = held.app_id and received_at < coalesce(cast(:before as timestamptz), 'infinity')
        order by chunk_id limit :most
    ) as p on true order by p.chunk_id
    """  # noqa: S608 - the only value in it is a number
).columns(goes_on=JSONB)


async def begin(conn: AsyncConnection, lease: Lease, *, most: int) -> Begun | None:
    """What `lease` is to fold, up to `most` rows of it; then nobody else can take it before this transaction ends, and it is
    prolonged. None where it does not hold any more."""
    asked = {
        "app_id": lease.app_id,
        "holder": lease.holder,
        "token": lease.token,
        "before": lease.spooled_since,
        "most": most,
    }
    found = (await conn.execute(_BEGIN, asked)).all()
    if not found:
        return None
    first = found[0]
    clock = Clock(first.clock_at, first.heard_at, first.wake_at, first.minute_at, first.goes_on)
    rows = [
        Pending(row.chunk_id, row.received_at, row.newest_at, row.events, row.traffic, row.unfinished)
        for row in found
        if row.chunk_id is not None
    ]
    return Begun(rows, clock if first.clock_at is not None else None)


_END = text(
    f"""
    with folded as (
        delete from pending where app_id = :app_id and chunk_id = any (cast(:chunks as uuid[]))
    ), counted as (
        insert into traffic (app_id, minute, lines, requests, errors, bytes, by_status, by_code, service, connect, closed_at,
            heartbeat_id, traffic_id)
        select :app_id, minute, lines, requests, errors, bytes, cast(by_status as jsonb), cast(by_code as jsonb), service,
            connect, closed_at, heartbeat_id, traffic_id
        from unnest(cast(:minute as timestamptz[]), cast(:lines as int[]), cast(:requests as int[]), cast(:errors as int[]),
            cast(:bytes as bigint[]), cast(:by_status as text[]), cast(:by_code as text[]), cast(:service as bytea[]),
            cast(:connect as bytea[]), cast(:closed_at as timestamptz[]), cast(:heartbeat_id as uuid[]),
            cast(:traffic_id as uuid[])) as one (minute, lines, requests, errors, bytes, by_status, by_code, service, connect,
            closed_at, heartbeat_id, traffic_id)
        on conflict (app_id, minute) do update set lines = excluded.lines, requests = excluded.requests,
            errors = excluded.errors, bytes = excluded.bytes, by_status = excluded.by_status, by_code = excluded.by_code,
            service = excluded.service, connect = excluded.connect, closed_at = excluded.closed_at,
            heartbeat_id = excluded.heartbeat_id, traffic_id = excluded.traffic_id
    ), {RECORDING}
    insert into clocks (app_id, newest_at, heard_at, wake_at, minute_at, unfinished)
    select :app_id, cast(:newest_at as timestamptz), cast(:heard_at as timestamptz), least(
            (select min(wake_at) from states where state is not null),
            (select min(wake_at) from rule_states where app_id = :app_id and (rule, key) not in (select rule, key from states))
        ), cast(:minute_at as timestamptz), cast(:unfinished as jsonb)
    on conflict (app_id) do update set newest_at = excluded.newest_at, heard_at = excluded.heard_at,
        wake_at = excluded.wake_at, minute_at = excluded.minute_at, unfinished = excluded.unfinished
    """  # noqa: S608 - there is no value in it
)


async def end(
    conn: AsyncConnection,
    app_id: int,
    *,
    folded: Sequence[Pending],
    minutes: Iterable[KeptMinute],
    states: Iterable[RuleState],
    clock: Clock,
) -> None:
    """What the turn leaves: the rows that it has `folded` wait no more; these minutes and states are set, and the states
    that are None let go of; so is the clock, but for its `wake_at`, which is the earliest timer of all the app's states."""
    minutes = list(minutes)
    given = {
        **recording(app_id, states),
        "chunks": [row.chunk_id for row in folded],
        "minute": [one.at for one in minutes],
        "lines": [one.counts.lines for one in minutes],
        "requests": [one.counts.requests for one in minutes],
        "errors": [one.counts.errors for one in minutes],
        "bytes": [one.counts.bytes for one in minutes],
        "by_status": [dump_json(one.counts.by_status) for one in minutes],
        "by_code": [dump_json(one.counts.by_code) for one in minutes],
        "service": [pack_times(one.counts.service) for one in minutes],
        "connect": [pack_times(one.counts.connect) for one in minutes],
        "closed_at": [one.closed_at for one in minutes],
        "heartbeat_id": [one.heartbeat_id for one in minutes],
        "traffic_id": [one.traffic_id for one in minutes],
        "newest_at": clock.newest_at,
        "heard_at": clock.heard_at,
        "minute_at": clock.minute_at,
        "unfinished": None if clock.unfinished is None else dump_json(clock.unfinished),
    }
    await conn.execute(_END, given)
