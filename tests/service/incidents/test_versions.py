"""An incident's version: what a person has seen it do. That more was seen of it is no reason to refuse what the person does."""

from datetime import UTC, datetime, timedelta

import pytest

from keeping import keep
from service.detect.rule_book import RuleBook
from service.errors import Refused
from service.incidents import actions
from service.incidents.timers import Timers
from service.incidents.watch import Watch
from service.store import incidents, transitions
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import boot_timeout, state, up

APP = "shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def the_incident(db: Database) -> Incident:
    """The boot_timeout, once nothing is pending and no timer is due."""
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    while await Timers(db, ack_lapse=timedelta(hours=4)).turn(LONG_AGO):
        pass
    async with db.read() as conn:
        [found] = await incidents.page(conn, rule="boot_timeout", limit=10)
    return found


async def again(db: Database, minute: str) -> None:
    await keep(db, APP, state("web.1", "crashed", "starting", f"{minute}:01"), boot_timeout("web.1", f"{minute}:30"))


async def test_who_acknowledges_what_was_only_seen_once_more_is_not_refused(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    read = await the_incident(db)
    await again(db, "12:05")
    seen = await the_incident(db)
    after = await actions.acknowledge(db, read.id, version=read.version, actor="operator")

    assert (read.count, seen.count) == (1, 2)
    assert (read.version, seen.version, after.version) == (1, 1, 2)
    assert len(after.evidence) == 2


async def test_who_acknowledges_what_has_become_worse_is_refused_with_the_incident_as_it_is(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    read = await the_incident(db)
    for minute in ("12:05", "12:10"):
        await again(db, minute)
    await the_incident(db)

    with pytest.raises(Refused) as refused:
        await actions.acknowledge(db, read.id, version=read.version, actor="operator")
    assert refused.value.status == 409
    assert refused.value.extra["incident"]["severity"] == "critical"


async def test_the_version_is_the_number_of_the_last_step_and_no_number_is_left_out(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    for minute in ("12:05", "12:10", "12:15"):
        await again(db, minute)
        await the_incident(db)
    await keep(db, APP, up("web.1", "12:20"), up("web.2", "12:26"))
    ended = await the_incident(db)
    async with db.read() as conn:
        timeline = await transitions.timeline(conn, app_id=ended.app_id, incident_id=ended.id)

    assert [(step.number, step.type) for step in timeline] == [(1, "opened"), (2, "raised"), (3, "resolved")]
    assert ended.version == 3


async def test_who_writes_over_what_was_seen_meanwhile_is_told_so(db: Database) -> None:
    await keep(db, APP, boot_timeout("web.1", "12:00"))
    read = await the_incident(db)
    await again(db, "12:05")
    await the_incident(db)
    async with db.begin() as conn:
        assert await incidents.replace_version(conn, read) is None
        assert await incidents.refresh(conn, read) is None
