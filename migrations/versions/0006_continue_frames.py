"""What a frame ends within (a stack trace, a command of several lines, a dyno's memory before its R14), so that the next one
may go on with it.

Why: Logplex ends a frame wherever it likes, and what was told by lines of two was told by halves. `pending.unfinished` says
that a chunk's end is to be looked at, `clocks.unfinished` keeps what was open there.

Locks: `pending` and `clocks` for a moment; no row is written anew. Runs before the code: what the old code still stores ends
within nothing.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds them."""
    op.execute("alter table pending add column unfinished boolean default false not null")
    op.execute("alter table clocks add column unfinished jsonb")


def downgrade() -> None:
    """Drops them."""
    op.execute("alter table clocks drop column unfinished")
    op.execute("alter table pending drop column unfinished")
