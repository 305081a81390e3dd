"""Incidents as the filter language asks them: in SQL as a webhook's matcher does."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from any_filter import NOON, severities, storable, times, trees_of
from keeping import drain_of
from parsers.event import Severity
from parsers.filters import Node, parse_filter, predicate, render
from service.notify.routes import incident_as_event
from service.store import apps, incidents
from service.store.database import Database
from service.store.ids import new_id
from service.store.incidents import Incident
from service.wire.incident import incident_json

APPS = ("a", "web-1", "503")
WORDS = st.sampled_from(
    ["a", "web", "503", "crash_loop", "open", "resolved", "incident", "drainwatch", "true", "a/web-1/web"]
)
NAMES = st.sampled_from(
    [
        "rule",
        "subject",
        "status",
        "key",
        "count",
        "title",
        "diagnosis",
        "app",
        "environment",
        "kind",
        "code",
        "dyno",
        "source",
    ]
) | st.sampled_from(["process", "process_type", "id", "flags", "message", "verify", "unknown"])


def incident_of(app: apps.App, **differs: Any) -> Incident:
    at = differs.pop("at", NOON)
    values: dict[str, Any] = {
        "rule": "crash_loop",
        "subject": "web",
        "severity": Severity.CRITICAL,
        "status": "resolved",
        "title": "web keeps crashing",
        "diagnosis": "",
        "count": 2,
        **differs,
    }
    nothing: dict[str, Any] = {"evidence": [], "context": [], "traceback": None, "release": None, "runbook": None}
    never: dict[str, Any] = {"acknowledged_at": None, "escalated_at": None, "resolved_at": None}
    told: dict[str, Any] = {"remedies": [], "verify": "", "opened_at": at, "last_seen_at": at}
    known: dict[str, Any] = {"app_id": app.id, "app": app.name, "environment": app.environment, "version": 1}
    return Incident(id=new_id(), **known, **values, **nothing, **never, **told)


class Kept:
    """A database on a loop of its own, in which some incidents are kept at a time."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._db = Database.open(url)
        self._known = self._runner.run(self._add_apps())

    def close(self) -> None:
        self._runner.run(self._db.close())
        self._runner.close()

    def agree(self, some: Sequence[dict[str, Any]], filters: Sequence[Node]) -> None:
        """Asserts that each filter finds the incidents that a matcher would take."""
        self._runner.run(self._agree([incident_of(self._known[one.pop("app")], **one) for one in some], filters))

    async def _add_apps(self) -> dict[str, apps.App]:
        for app in APPS:
            await drain_of(self._db, app, "production" if app == "a" else "staging")
        async with self._db.read() as conn:
            return {app.name: app for app in (await apps.known(conn)).values()}

    async def _agree(self, some: Sequence[Incident], filters: Sequence[Node]) -> None:
        async with self._db.begin() as conn:
            for one in some:
                await incidents.insert_new(conn, one)
            found = [{one.id for one in await incidents.page(conn, q=q, limit=100)} for q in filters]
            await conn.rollback()
        for q, ids in zip(filters, found, strict=True):
            holds = predicate(q)
            assert ids == {one.id for one in some if holds(incident_as_event(incident_json(one)))}, (render(q), some)


@pytest.fixture
def kept(emptied_url: str) -> Iterator[Kept]:
    opened = Kept(emptied_url)
    yield opened
    opened.close()


some_incidents = st.fixed_dictionaries(
    {
        "app": st.sampled_from(APPS),
        "rule": WORDS,
        "subject": WORDS,
        "severity": severities,
        # Only one that is not resolved may stand of each rule and subject.
        "status": st.just("resolved"),
        "title": WORDS | storable,
        "diagnosis": WORDS | storable,
        "count": st.sampled_from([0, 1, 503]),
        "at": times,
    }
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    some=st.lists(some_incidents, min_size=3, max_size=5),
    filters=st.lists(trees_of(NAMES, WORDS), min_size=6, max_size=6),
)
def test_sql_and_a_matcher_agree_on_any_filter_and_any_incident(
    kept: Kept, some: Sequence[dict[str, Any]], filters: Sequence[Node]
) -> None:
    kept.agree(some, filters)


def test_every_name_that_a_matcher_knows_is_known_in_sql(kept: Kept) -> None:
    one = {"app": "web-1", "status": "open", "title": "Web keeps crashing", "diagnosis": "It exits", "count": 503}
    texts = [
        "rule:crash_loop",
        "subject:web",
        "status:open",
        "key:crash_loop/web-1/web",
        "count:503.0",
        "count>500",
        "KEEPS",
    ]
    texts += [
        "title:Web*",
        "diagnosis:It*",
        "app:web-*",
        "environment:staging",
        "severity:critical",
        "source:drainwatch",
    ]
    texts += [
        "process:incident",
        "kind:incident",
        "key:*",
        f'ts:"{NOON.isoformat()}"',
        "-code:*",
        "-dyno:*",
        "-flags:*",
        "-id:*",
    ]
    filters = [parse_filter(text) for text in texts]
    kept.agree([one], filters)
    kept.agree([{**one, "app": "a", "status": "resolved", "count": 1, "title": "x", "diagnosis": "y"}], filters)


async def test_pages_of_a_filter_hold_each_incident_once(db: Database) -> None:
    app_id = (await drain_of(db, "a")).app_id
    app = apps.App(app_id, "a", "production")
    async with db.begin() as conn:
        for n in range(12):
            rule = "crash_loop" if n % 3 else "error_rate"
            await incidents.insert_new(conn, incident_of(app, rule=rule, at=NOON + timedelta(minutes=n // 2)))
    found: list[datetime] = []
    before = None
    async with db.read() as conn:
        while page := await incidents.page(conn, q=parse_filter("rule:crash_loop"), before=before, limit=3):
            found += [one.opened_at for one in page]
            before = page[-1].opened_at, page[-1].id
    assert found == sorted(found, reverse=True)
    assert len(found) == 8
