"""What each drain has sent, what of it was refused, and what Logplex says it lost: counters of the web processes.

Why: a refusal is lines lost at the sender, and who looks at the list of drains must see it, over all processes and restarts.

Locks: none that matter, the tables are new. Time: none. Runs before the code.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = (
    """
    create table drain_counts (
        app_id integer not null,
        drain_id integer not null,
        frames bigint default 0 not null,
        lines bigint default 0 not null,
        bytes bigint default 0 not null,
        repeats bigint default 0 not null,
        damaged bigint default 0 not null,
        mismatches bigint default 0 not null,
        lost bigint default 0 not null,
        heard_at timestamptz,
        lost_at timestamptz,
        skew_ms bigint,
        primary key (app_id, drain_id)
    )
    """,
    """
    create table drain_refusals (
        app_id integer not null,
        drain_id integer not null,
        status smallint not null,
        count bigint default 0 not null,
        last_at timestamptz not null,
        primary key (app_id, drain_id, status)
    )
    """,
    """
    create table drain_losses (
        app_id integer not null,
        drain_id integer not null,
        since timestamptz not null,
        count bigint default 0 not null,
        noted_at timestamptz default now() not null,
        primary key (app_id, drain_id, since)
    )
    """,
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drops them; what was counted is gone."""
    op.execute("drop table drain_losses, drain_refusals, drain_counts")
