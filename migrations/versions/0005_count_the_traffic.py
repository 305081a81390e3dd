"""The traffic of each app's minutes, and the indexes by which what the logs tell of an app is found.

Why: how many requests, how many failed and how long they took is asked for over weeks, and router lines are kept for days.
Each closed minute becomes two events of drainwatch's own; the indexes of the lists leave those out, else an app of a
few events a day would hide them behind 2,880.

Locks: `events` against writes while its indexes are made anew, 1 µs a row and index: 1 minute for 20 million events; web
processes hold or spool their frames meanwhile. `pending` and `clocks` for a moment. Runs before the code: what the old code
still stores adds to no traffic. The way back forgets all traffic.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_NOT_OWN = "kind not in ('traffic', 'heartbeat', 'platform_status')"

_UPGRADE = (
    """
    create table traffic (
        app_id integer not null,
        minute timestamptz not null,
        lines integer not null,
        requests integer not null,
        errors integer not null,
        bytes bigint not null,
        by_status jsonb not null,
        by_code jsonb not null,
        service bytea not null,
        connect bytea not null,
        closed_at timestamptz,
        heartbeat_id uuid,
        traffic_id uuid,
        primary key (app_id, minute)
    ) partition by range (minute)
    """,
    "create index traffic_open on traffic (app_id, minute) where closed_at is null",
    "alter table pending add column traffic bytea default '' not null",
    "alter table clocks add column minute_at timestamptz",
    "create index clocks_by_minute on clocks (minute_at)",
    "drop index events_by_app, events_by_time",
    f"create index events_by_app on events (app_id, ts, id) where {_NOT_OWN}",
    f"create index events_by_time on events (ts, id) where {_NOT_OWN}",
    "create index events_by_kind on events (app_id, kind, ts, id)",
    "create index promotions on events (app_id, (fields ->> 'promotion_id'), ts) where kind = 'promotion'",
)
_DOWNGRADE = (
    "drop index promotions, events_by_kind, events_by_app, events_by_time",
    "create index events_by_app on events (app_id, ts, id)",
    "create index events_by_time on events (ts, id)",
    "alter table clocks drop column minute_at",
    "alter table pending drop column traffic",
    "drop table traffic",
)


def upgrade() -> None:
    """Makes them."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops them, partitions included."""
    for statement in _DOWNGRADE:
        op.execute(statement)
