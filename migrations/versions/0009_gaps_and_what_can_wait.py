"""When nobody heard an app while an incident of it went on; and rule states that nobody has to wake for.

Why: time in which lines were lost, or the drain was silent, is no health; an incident says which time that was. And every app
with traffic has a state that forgets with time: that alone must not wake the app, nor move its clock in silence.

Locks: `incidents` and `rule_states` for a moment, whatever their number: no default is more than a constant. Runs before the
code, which the old code does not notice. The way back forgets the gaps.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the columns."""
    op.execute("alter table incidents add column gaps jsonb default '[]' not null")
    op.execute("alter table rule_states add column forget_at timestamptz")


def downgrade() -> None:
    """Drops them."""
    op.execute("alter table rule_states drop column forget_at")
    op.execute("alter table incidents drop column gaps")
