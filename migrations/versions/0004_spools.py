"""`spools`: which web processes keep frames on disk while the database is away, and since when the oldest of them waits.

Why: an app's clock must not run ahead of frames that are on their way. Locks: none that matter, the table is new. Time:
none. Runs before the code.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table."""
    op.execute(
        """
        create table spools (
            holder text not null,
            since timestamptz,
            seen_at timestamptz not null,
            primary key (holder)
        )
        """
    )


def downgrade() -> None:
    """Drops it: the worker then takes an app for silent while frames of it wait on a disk."""
    op.execute("drop table spools")
