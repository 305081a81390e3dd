"""What becomes of an app's rule states and incidents when the rules are others than those that they were made by.

A state counts by the old rule's numbers, so it is made anew from the events that are kept: what the new rule finds in them
is told as ever, and an incident that it would not have opened is closed, with a note that says why.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.detect.app_fold import HEARING, Place, marks_of
from service.detect.history import MOST_MARKS, History
from service.detect.rule import DETECTORS, Rule
from service.detect.rule_book import RuleBook
from service.incidents.states import is_of, version_of, write_history
from service.log import log
from service.store import evidence, incidents, rule_states
from service.store.incidents import Incident
from service.store.leases import Lease
from service.store.rule_states import RuleState

GONE = "the rule is not in force for this app any more"
OTHERWISE = "the rule was changed, and as it is now it would not have opened this"

# How far back the new rule looks: a day holds any window there is, and with it the dyno that has been crashing since morning.
LOOKS_BACK = timedelta(days=1)
# Whoever folds next takes it up at once.
_DUE = datetime.fromisoformat("2000-01-01T00:00+00:00")


async def wake_changed(conn: AsyncConnection, rules: RuleBook) -> None:
    """Wakes the apps with states or incidents that rules in force did not make: silent ones too have them seen to."""
    changed = set()
    for held in await rule_states.held(conn):
        by_name = {rule.name: rule for rule in rules.for_app(held.app, held.environment)}
        rule = by_name.get(held.rule)
        if rule is None or (held.version is not None and held.version != version_of(rule)):
            changed.add(held.app_id)
    if changed:
        await rule_states.wake(conn, changed)
        log.info("rules.changed", apps=len(changed))


async def remake(conn: AsyncConnection, lease: Lease, rules: Sequence[Rule], *, clock: datetime) -> set[Place]:
    """Makes the app's states that no rule in force has written anew, and lets go of those that no rule wants; gives the places
    of the former, to be folded next. `clock` is the app's, up to which it was folded."""
    by_name = {rule.name: rule for rule in rules}
    states = [one for one in await rule_states.of_app(conn, lease.app_id) if (one.rule, one.key) != HEARING]
    stale = [one for one in states if not is_of(one, by_name.get(one.rule))]
    changed = [by_name[name] for name in {one.rule for one in stale} if name in by_name]
    remade: dict[Place, RuleState] = {}
    if changed:
        events = await evidence.folded(conn, lease, since=clock - LOOKS_BACK)
        for place, marks in marks_of(changed, events, None).items():
            if place != HEARING:
                rule = by_name[place[0]]
                history = History(DETECTORS[rule.detector].empty, marks=tuple(sorted(marks)[-2 * MOST_MARKS :]))
                remade[place] = RuleState(*place, write_history(rule, history), _DUE)
    gone = [RuleState(one.rule, one.key, None, None) for one in stale if (one.rule, one.key) not in remade]
    if stale:
        await rule_states.record(conn, lease.app_id, [*gone, *remade.values()])
    return {(one.rule, one.key) for one in stale if one.rule in by_name} | set(remade)


async def orphans(
    conn: AsyncConnection, lease: Lease, rules: Sequence[Rule], remade: set[Place], on: set[Place]
) -> list[tuple[Incident, str]]:
    """The app's incidents that go on though nothing holds them up, each with the note that says why: their rule is gone, or
    their state was `remade` and is not among those that are `on`."""
    names = {rule.name for rule in rules}
    found = []
    for incident in await incidents.ongoing_of(conn, lease.app_id):
        place = (incident.rule, incident.subject)
        if incident.rule not in names:
            found.append((incident, GONE))
        elif place in remade and place not in on:
            found.append((incident, OTHERWISE))
    return found
