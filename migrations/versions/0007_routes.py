"""What a webhook wants beyond its filter, since when it fails, and the reminders of what nobody acknowledges.

Why: a minimum severity, quiet hours, reminders and PagerDuty's routing key belong to an endpoint; one that has failed for five
days is given up. A reminder is a delivery of the last step again, so its number in order gets a second part.

Locks: `endpoints` for a moment; `deliveries` against writes while its unique index is made anew, 1 µs a row: 20 s for 20
million. Nobody is told anything meanwhile, and nothing is lost. Runs before the code; a worker of the old code cannot
fan out any more once its index is gone, and ends. The way back forgets all reminders.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_UPGRADE = (
    """
    alter table endpoints
        add column routing_key text,
        add column min_severity smallint,
        add column escalations boolean default true not null,
        add column repeat_s integer,
        add column quiet_hours text,
        add column failing_since timestamptz
    """,
    """
    create unique index endpoints_heartbeat on endpoints (format)
    where format = 'heartbeat' and removed_at is null
    """,
    "alter table deliveries add column repeat integer default 0 not null",
    "drop index deliveries_in_order",
    "create unique index deliveries_in_order on deliveries (endpoint_id, incident_id, number, repeat)",
)
_DOWNGRADE = (
    "delete from deliveries where repeat > 0",
    "drop index deliveries_in_order",
    "create unique index deliveries_in_order on deliveries (endpoint_id, incident_id, number)",
    "alter table deliveries drop column repeat",
    "drop index endpoints_heartbeat",
    """
    alter table endpoints
        drop column routing_key, drop column min_severity, drop column escalations, drop column repeat_s,
        drop column quiet_hours, drop column failing_since
    """,
)


def upgrade() -> None:
    """Makes them."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops them."""
    for statement in _DOWNGRADE:
        op.execute(statement)
