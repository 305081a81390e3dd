"""Which workers live: each says so every ten seconds.

Why: that nothing waits does not tell whether anybody would do it. `drainwatch doctor` says that no worker runs before the first
incident is missed.

Locks: none on what is there. Runs before the code, which the old code does not notice. The way back drops the table.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Makes the table."""
    op.execute(
        """create table workers (
            holder text not null, started_at timestamptz not null, seen_at timestamptz not null,
            constraint workers_pkey primary key (holder))"""
    )


def downgrade() -> None:
    """Drops it."""
    op.execute("drop table workers")
