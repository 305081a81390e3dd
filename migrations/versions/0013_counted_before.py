"""What an incident had counted before it was reopened, so that it goes on counting with each new match.

Why: a new alarm counts from one. An incident of 40 matches that was reopened stood at 41 until the new alarm had 42 of its own.

Locks: `incidents` for a moment, whatever their number: the default is a constant. Runs before the code; the old code leaves the
column as it is. What was reopened before counts as it did until it is reopened again. The way back forgets it.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the column."""
    op.execute("alter table incidents add column counted_before integer default 0 not null")


def downgrade() -> None:
    """Drops it."""
    op.execute("alter table incidents drop column counted_before")
