"""What is seen of an incident counts apart from the steps of its life.

Why: `version` rose with each look at the evidence, so that a person who acknowledged what had only been seen once more was
answered 409. `revision` rises with each write and keeps writers from undoing each other's; `version` with each step.

Locks: `incidents` for a moment, whatever their number: the default is a constant. Runs before the code; the old code goes on
counting versions, which the new one asks for too. The way back forgets the revisions.
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds the column."""
    op.execute("alter table incidents add column revision integer default 1 not null")


def downgrade() -> None:
    """Drops it."""
    op.execute("alter table incidents drop column revision")
