"""What is kept long enough and lies in no partition: deleted row by row, some at a time, oldest first.

Rows that somebody else holds are left to the next call, so several may call at once, and nobody waits for them.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def quarantine_before(conn: AsyncConnection, before: datetime, *, most: int) -> int:
    """Forgets up to `most` stretches that were received before that time; gives how many."""
    return (await conn.execute(_QUARANTINE, {"before": before, "most": most})).rowcount


async def incidents_before(conn: AsyncConnection, before: datetime, *, most: int) -> int:
    """Forgets up to `most` incidents that were resolved before that time and of which nobody is still to be told, with their
    timelines, deliveries and attempts; gives how many incidents.

    An incident goes as a whole: whether its end is to be told depends on the deliveries of its beginning.
    """
    gone = (await conn.execute(_INCIDENTS, {"before": before, "most": most})).all()
    if gone:
        ids = {"incidents": [row.id for row in gone], "apps": [row.app_id for row in gone]}
        for statement in (_THEIR_DELIVERIES, _THEIR_DECISIONS, _THEIR_MARKS, _THEIR_TRANSITIONS, _THEMSELVES):
            await conn.execute(statement, ids)
    return len(gone)


async def deliveries_before(conn: AsyncConnection, before: datetime, *, most: int) -> int:
    """Forgets up to `most` deliveries of no one incident (tests, digests, ends of silences) that were made before that time and
    are done with; gives how many."""
    return (await conn.execute(_DELIVERIES, {"before": before, "most": most})).rowcount


_QUARANTINE = text("""
    delete from quarantine where (app_id, id) in (
        select app_id, id from quarantine where received_at < :before
        order by received_at, id limit :most for update skip locked)
""")

# By the index on `opened_at`: what was resolved before was opened before. Deliveries are found by endpoint, of which there
# are few.
_INCIDENTS = text("""
    select i.app_id, i.id from incidents i
    where i.opened_at < :before and i.resolved_at < :before and i.status = 'resolved'
        and not exists (
            select from transitions t
            where t.app_id = i.app_id and t.incident_id = i.id and t.fanned_out_at is null)
        and not exists (
            select from endpoints e join deliveries d on d.endpoint_id = e.id
            where d.incident_id = i.id and d.status = 'pending')
    order by i.opened_at, i.id limit :most for update of i skip locked
""")
_THEIR_DELIVERIES = text("""
    delete from deliveries d using endpoints e
    where d.endpoint_id = e.id and d.incident_id = any(:incidents) and d.app_id = any(:apps)
""")
_THEIR_DECISIONS = text("delete from decisions where app_id = any(:apps) and incident_id = any(:incidents)")
_THEIR_MARKS = text("delete from hushed where app_id = any(:apps) and incident_id = any(:incidents)")
_THEIR_TRANSITIONS = text("delete from transitions where app_id = any(:apps) and incident_id = any(:incidents)")
_THEMSELVES = text("delete from incidents where app_id = any(:apps) and id = any(:incidents)")

_DELIVERIES = text("""
    delete from deliveries where id in (
        select due.id from endpoints e cross join lateral (
            select d.id from deliveries d
            where d.endpoint_id = e.id and d.created_at < :before and d.incident_id is null and d.status <> 'pending'
            order by d.created_at, d.id limit :most for update of d skip locked) as due
        limit :most)
""")
