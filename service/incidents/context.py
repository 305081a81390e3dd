"""What an incident is told with: its evidence, the lines around the first of it, the release it follows, its diagnosis."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from parsers.traffic import MINUTE
from service.detect.detector import EVIDENCE, Alarm
from service.detect.minute_events import SOURCE
from service.detect.rule import Rule
from service.incidents import going_on
from service.incidents.diagnosis import Said, apps_asked, diagnose, kinds_asked
from service.store import apps, chunks, evidence
from service.store.apps import App
from service.store.chunks import Place, Wanted
from service.store.leases import Lease
from service.wire.event import event_json
from service.wire.instant import instant
from service.wire.line import ContextLineJson, context_json

# A release this long before the first event is named as what it may follow from.
RELEASE_BEFORE = timedelta(minutes=30)
# Causes may lie this long before what they cause, and their lines may come this much later (clocks differ).
CAUSE_BEFORE = timedelta(minutes=10)
CLOCKS_DIFFER = timedelta(seconds=10)

# The kinds that tell of causes. Router errors are symptoms, and many: they are looked at where a cause asks for them.
TELLING = ("dyno_error", "dyno_state", "release", "promotion", "webauthn", "traceback")
FAILED = ("router_error", "router_failure")

# An app's flag_prefix, by its name.
FlagPrefix = Callable[[str], str]


async def evidence_json(
    conn: AsyncConnection,
    lease: Lease,
    alarm: Alarm,
    known: Mapping[UUID, Event],
    *,
    kept: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The alarm's first event and its newest, oldest first, as JSON; those not `known` are read, but for those that are `kept`
    as JSON and can have changed no more."""
    ids = list(dict.fromkeys((alarm.first_event, *alarm.events[-EVIDENCE:])))
    told = {UUID(one["id"]): one for one in kept if not _may_change(one)}
    missing = [one for one in ids if one not in known and one not in told]
    read = await evidence.with_ids(conn, lease.app_id, missing, app=lease.app, environment=lease.environment)
    found = {**known, **{event.id: event for event, _ in read if event.id}}
    shown = {**told, **{one: dict(event_json(found[one])) for one in ids if one in found}}
    return [shown[one] for one in ids if one in shown]


def _may_change(event: Mapping[str, Any]) -> bool:
    """Whether a line may still change what the event says, however late: it goes on in other frames, or is a minute."""
    return event["source"] == SOURCE or event["kind"] in going_on.KINDS


async def lines_around(conn: AsyncConnection, lease: Lease, first: UUID) -> list[ContextLineJson]:
    """The lines around an event, of the same dyno: 20 before and 20 after it. Of a minute those around its first failed
    request, or else its last 20."""
    read = await evidence.with_ids(conn, lease.app_id, [first], app=lease.app, environment=lease.environment)
    if not read:
        return []
    event, chunk_id = read[0]
    if event.source == SOURCE:
        since = event.ts - MINUTE
        failed = await _between(conn, lease, lease.app, since=since, until=event.ts, kinds=FAILED, most=1)
        if failed and failed[0].id:
            return await lines_around(conn, lease, failed[0].id)
        until = event.ts + timedelta(microseconds=1)
        page = await chunks.latest(conn, Wanted(app=lease.app, since=since, until=until), after=None, limit=20)
        return context_json(page.items[::-1], Place(event.received_at, chunk_id, event.place))
    lines = await chunks.around(
        conn, lease.app_id, event.received_at, chunk_id, event.place, event.dyno or event.process
    )
    return context_json(lines, Place(event.received_at, chunk_id, event.place))


async def release_before(conn: AsyncConnection, lease: Lease, alarm: Alarm) -> dict[str, Any] | None:
    """The app's last release within 30 minutes before the first event: version, description, actor, when, and how long."""
    events = await _between(
        conn, lease, lease.app, since=alarm.first_at - RELEASE_BEFORE, until=alarm.first_at, kinds=("release",)
    )
    made = [event for event in events or () if event.fields.get("action") == "release"]
    if not made:
        return None
    last = made[-1]
    # A release makes two lines with the same timestamp in either order: what, and `Release vN created` (heroku.md §4).
    what = [
        one
        for one in events or ()
        if one.fields.get("action") != "release" and abs(one.ts - last.ts) <= timedelta(seconds=2)
    ]
    return {
        "version": f"v{last.fields.get('version')}",
        "description": what[-1].message if what else last.message,
        "actor": last.fields.get("actor"),
        "released_at": instant(last.ts),
        "seconds_before": int((alarm.first_at - last.ts).total_seconds()),
    }


async def say(
    conn: AsyncConnection,
    lease: Lease,
    rule: Rule,
    subject: str,
    alarm: Alarm,
    shown: Sequence[Mapping[str, Any]],
    flag_prefix: FlagPrefix,
) -> Said:
    """The incident's texts, from its evidence as JSON (`shown`) and what else was seen around it."""
    values = _values(lease, subject, alarm, shown, flag_prefix)
    seen: dict[str, list[Event] | None] = {}
    kinds = (*TELLING, *kinds_asked(rule))
    # What has begun and not ended is told by what came since then: a config var set for the promotion before it proves nothing.
    before = CLOCKS_DIFFER if rule.detector == "unfinished" else CAUSE_BEFORE
    for app in apps_asked(rule, values):
        seen[app] = await _between(
            conn,
            lease,
            app,
            since=alarm.first_at - before,
            until=max(alarm.since, alarm.last_at) + CLOCKS_DIFFER,
            kinds=kinds,
        )
    if rule.key == "process_type":  # what another process type did is not its cause
        of_it = [one for one in seen.get(lease.app) or () if one.process_type in (None, subject)]
        seen[lease.app] = of_it
    return diagnose(rule, values, seen)


async def _between(
    conn: AsyncConnection,
    lease: Lease,
    app: str,
    *,
    since: datetime,
    until: datetime,
    kinds: Sequence[str],
    most: int = 1000,
) -> list[Event] | None:
    """Events of an app, which mostly is the lease's own and need not be looked up."""
    of = App(lease.app_id, lease.app, lease.environment) if app == lease.app else await apps.named(conn, app)
    return await evidence.between(conn, of, since=since, until=until, kinds=kinds, most=most) if of else None


def _values(
    lease: Lease, subject: str, alarm: Alarm, shown: Sequence[Mapping[str, Any]], flag_prefix: FlagPrefix
) -> dict[str, object]:
    fields: dict[str, object] = {}
    for event in shown:  # the first event that has a field says it
        fields = {**event["fields"], **fields}
    values = {
        **fields,
        "app": lease.app,
        "environment": lease.environment,
        "subject": subject,
        "process_type": subject,
        "count": alarm.count,
    }
    if "flag_key" in fields:
        target = str(fields.get("target_app", lease.app))
        values["target_app"] = target
        values["flag_var"] = flag_prefix(target) + str(fields["flag_key"]).upper()
    return values
