"""Whatever happens in whatever order: each step is told once at each endpoint, nothing while it is hushed, all that is owed in
the end, and a resolution where, and only where, the opening was."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from parsers.event import Severity
from service.detect.detector import Alarm, Fired
from service.incidents import lifecycle
from service.store.ids import new_id
from service.store.incidents import Incident

from .outbox import NOON
from .worlds import InMemory, Message, OnPostgres

APPS = ("a", "b")
RULES = ("crash_loop", "request_timeouts", "error_rate")
SYMPTOMS = ("request_timeouts", "error_rate")
ACK_LAPSE = timedelta(hours=4)
which = {"app": st.sampled_from(APPS), "name": st.sampled_from(RULES)}


class Life(RuleBasedStateMachine):
    """Incidents of two apps and three rules; `heard` is what each endpoint believes to stand, by what it was told alone."""

    make: Callable[[], Any] = InMemory

    @initialize()
    def begin(self) -> None:
        self.world = self.make()
        self.now: datetime = NOON
        self.incidents: dict[tuple[str, str], Incident] = {}
        self.silences: dict[int, tuple[str, datetime]] = {}
        self.heard: set[tuple[int, Any]] = set()
        self.told: set[tuple[int, Any, int]] = set()
        self.times: dict[Any, list[datetime]] = {}
        self.all: dict[Any, Incident] = {}

    @rule(minutes=st.sampled_from([1, 5, 14, 16, 31, 61, 241]))
    def pass_time(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(**which, worse=st.booleans())
    def fire(self, app: str, name: str, worse: bool) -> None:
        self.now += timedelta(seconds=1)
        before = self.incidents.get((app, name))
        severity = Severity.CRITICAL if worse else Severity.ERROR
        found = Fired(self.now, Alarm(self.now, severity, 1, self.now, self.now, new_id(), ()))
        step = lifecycle.on_fired(before, found)
        if step == lifecycle.OPENED or before is None:
            new = lifecycle.opened(opened(app, name, self.now, severity))
            self._write(app, name, new, "opened", new=True)
        elif step == lifecycle.REOPENED:
            after = lifecycle.reopened(before, found, self.times.setdefault(before.id, []))
            self.times[before.id].append(self.now)
            self._write(app, name, after, step)
        elif step:
            self._write(app, name, lifecycle.raised(before, found), step)

    @rule(**which)
    def clear(self, app: str, name: str) -> None:
        self.now += timedelta(seconds=1)
        incident = self.incidents.get((app, name))
        if incident and incident.status != "resolved":
            self._write(app, name, lifecycle.resolved(incident, at=self.now), "resolved")

    @rule(**which)
    def acknowledge(self, app: str, name: str) -> None:
        incident = self.incidents.get((app, name))
        if incident and incident.status != "resolved":
            self._write(app, name, lifecycle.acknowledged(incident, at=self.now), "acknowledged")

    @rule()
    def run_timers(self) -> None:
        for (app, name), incident in list(self.incidents.items()):
            if incident.timer_at and incident.timer_at <= self.now:
                after, step = lifecycle.on_timer(incident)
                if step:
                    self._write(app, name, after, step)
            incident = self.incidents[app, name]
            looked_after = incident.acknowledged_at if incident.status == "acknowledged" else None
            if looked_after and looked_after + ACK_LAPSE <= self.now:
                self._write(app, name, lifecycle.lapsed(incident, at=self.now), "lapsed")

    @rule(match=st.sampled_from(["app:a", "rule:crash_loop", "app:b rule:error_rate"]), hours=st.integers(1, 3))
    def silence(self, match: str, hours: int) -> None:
        until = self.now + timedelta(hours=hours)
        self.silences[self.world.silence(match, self.now, until)] = (match, until)

    @precondition(lambda self: self.silences)
    @rule(data=st.data())
    def unsilence(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.silences)))
        match, until = self.silences[number]
        if until > self.now:
            self.silences[number] = (match, self.now)
            self.world.end(number, self.now)

    @rule()
    def fan_out(self) -> None:
        for message in self.world.fan_out(self.now):
            self._hear(message)
        for incident in self.incidents.values():
            for endpoint in range(2):
                self._check(incident, (endpoint, incident.id) in self.heard)

    @rule()
    def is_killed(self) -> None:
        """In the middle of fanning out: nothing of it has happened."""
        assert self.world.fan_out(self.now, killed=True) == []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.fan_out()
            self.world.close()

    def _write(self, app: str, name: str, incident: Incident, step: str, *, new: bool = False) -> None:
        after = self.world.write(incident, step, self.now, new=new)
        self.incidents[app, name] = self.all[after.id] = after

    def _hear(self, message: Message) -> None:
        key = message.endpoint, message.incident
        assert (*key, message.number) not in self.told, f"told twice: {message}"
        self.told.add((*key, message.number))
        incident = self.all[message.incident]
        if message.type == "incident.resolved":
            assert key in self.heard, f"a resolution of what was not told: {message}"
            self.heard.discard(key)
        else:
            told_before = message.type == "incident.acknowledged" and key in self.heard
            hushed = self._is_silenced(incident) if told_before else self._is_hushed(incident)
            assert not hushed, f"told while it is hushed: {message}"
            self.heard.add(key)

    def _check(self, incident: Incident, heard: bool) -> None:
        if incident.flapping_since:
            return
        if incident.status == "resolved":
            assert not heard, f"{incident.rule} of {incident.app} is over, and that is owed"
        elif incident.status == "open" and not self._is_hushed(incident):
            assert heard, f"{incident.rule} of {incident.app} stands, and that is owed"

    def _is_hushed(self, incident: Incident) -> bool:
        """By the words of the design, not by the code."""
        cause = self.incidents.get((incident.app, "crash_loop"))
        inhibited = incident.rule in SYMPTOMS and cause is not None and cause.status != "resolved"
        return inhibited or self._is_silenced(incident)

    def _is_silenced(self, incident: Incident) -> bool:
        matching = {"app:a": incident.app == "a", "rule:crash_loop": incident.rule == "crash_loop"}
        matching["app:b rule:error_rate"] = (incident.app, incident.rule) == ("b", "error_rate")
        return any(until > self.now and matching[match] for match, until in self.silences.values())


def opened(app: str, name: str, at: datetime, severity: Severity) -> Incident:
    return Incident(
        id=new_id(),
        app_id=APPS.index(app) + 1,
        app=app,
        environment="production",
        version=1,
        rule=name,
        subject="web",
        severity=severity,
        status="open",
        title=f"{name} of {app}",
        diagnosis="",
        remedies=[],
        verify="",
        runbook=None,
        opened_at=at,
        last_seen_at=at,
        acknowledged_at=None,
        escalated_at=None,
        resolved_at=None,
        count=1,
        release=None,
        evidence=[],
        context=[],
        traceback=None,
        inhibits=SYMPTOMS if name == "crash_loop" else (),
    )


def test_whatever_happens_everybody_is_told_what_they_are_owed() -> None:
    quick = settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=quick)


def test_so_it_is_on_the_database(embedded_url: str) -> None:
    class OnTheDatabase(Life):
        make = staticmethod(lambda: OnPostgres(embedded_url))

    few = settings(max_examples=10, stateful_step_count=25, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OnTheDatabase, settings=few)
