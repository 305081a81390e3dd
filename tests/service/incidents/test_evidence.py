"""An incident that is seen again: what of its evidence is read again, and what of it is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from folding import APP
from keeping import drain_of, keep
from parsers.event import Severity
from service.detect.detector import Alarm
from service.detect.rule_book import RuleBook
from service.incidents import context, lifecycle
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.ids import new_id
from service.store.leases import Lease
from vocabulary import boot_timeout, router_line

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def kept_for_hours(db: Database, kind: str) -> UUID:
    """The event of that kind, as if it had come two hours ago: its new id."""
    at = datetime.now(UTC) - timedelta(hours=2)
    async with db.begin() as conn:
        await conn.execute(
            text("update events set id = :id, received_at = :at where kind = :kind"),
            {"id": (id := new_id(at)), "at": at, "kind": kind},
        )
    return id


async def shown(db: Database, id: UUID, *, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    drain, at = await drain_of(db, APP), datetime.now(UTC)
    alarm = Alarm(at, Severity.ERROR, 1, at, at, id, (id,))
    async with db.read() as conn:
        lease = Lease(drain.app_id, APP, drain.environment, "one", 1)
        return await context.evidence_json(conn, lease, alarm, {}, kept=kept)


@pytest.mark.parametrize("kind", ["traffic", "dyno_error"])
async def test_what_a_late_line_may_have_changed_is_read_again_however_long_ago_it_came(
    db: Database, kind: str
) -> None:
    await keep(
        db, APP, router_line("12:00", code="H12", status=503), boot_timeout("web.1", "12:00"), router_line("12:02")
    )
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    id = await kept_for_hours(db, kind)
    [before] = await shown(db, id, kept=[])
    async with db.begin() as conn:
        await conn.execute(text("""update events set fields = fields || '{"late": 57}' where id = :id"""), {"id": id})
    [after] = await shown(db, id, kept=[before])
    assert after["fields"] == {**before["fields"], "late": 57}


async def test_all_that_seeing_an_incident_again_changes_of_it_is_written(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    async with db.begin() as conn:
        [incident] = await incidents.page(conn, limit=10)
        first, last = incident.opened_at - timedelta(minutes=1), incident.last_seen_at + timedelta(minutes=1)
        alarm = Alarm(first, Severity.CRITICAL, incident.count + 7, first, last, new_id(), ())
        written = await incidents.see(conn, replace(lifecycle.seen(incident, alarm), evidence=[{"kind": "dyno_error"}]))
        assert written
        assert (written.opened_at, written.last_seen_at, written.count) == (first, last, incident.count + 7)
        assert await incidents.one(conn, incident.id) == written


async def test_what_cannot_have_changed_is_not_read_again(db: Database) -> None:
    await keep(db, APP, router_line("12:00", code="H12"))
    id = await kept_for_hours(db, "router_error")
    [before] = await shown(db, id, kept=[])
    async with db.begin() as conn:
        await conn.execute(text("delete from events"))
    assert await shown(db, id, kept=[before]) == [before]
