"""GET /metrics: what this process counts, and what the database says of all of them; in Prometheus' text format.

Every number of `service/metrics.py` is this process's own: scrape each process and add up. What begins with
`drainwatch_stage_`, `drainwatch_drain_`, `drainwatch_incidents_` or `drainwatch_deliveries_` comes from the database and is
the same whichever process is asked.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.access import Scope
from service.api import parameters
from service.api.context import Api, api_of
from service.api.guard import BEARER, guarded
from service.api.problems import problems
from service.errors import StoreAway
from service.metrics import DATABASE_UP, REGISTRY
from service.notify.deliver import PER_ENDPOINT
from service.store import backlog, deliveries, drains
from service.store.backlog import Ongoing, Stage
from service.store.drains import Drain

# A scraper waits 10 s by default, and the process's own numbers are to be had whatever the database does.
_SECONDS = 2.0

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

router = APIRouter(
    tags=["health"],
    route_class=guarded(Scope.READ, remembered=True),
    dependencies=[Depends(BEARER)],
    responses=problems(400, 401, 403, 503),
)


@router.get("/metrics", response_class=Response, summary="Numbers for Prometheus", responses=_TEXT)
async def show_metrics(request: Request, _: parameters.NoQuery) -> Response:
    """What this process counts, and what waits, drain by drain, according to the database. Takes a read token, also, for an
    hour, while the database is away; `drainwatch_database_up` is 0 then and what it would say is left out."""
    asked = await _ask(api_of(request))
    # In a thread: a thousand drains take 0.1 s to write out, in which frames want answers.
    shown = await asyncio.to_thread(_page, asked)
    return Response(shown, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the database says; a collector, since that is what can be written out."""

    stages: Sequence[Stage]
    ongoing: Sequence[Ongoing]
    drains: Sequence[Drain]
    overdue: int

    def collect(self) -> Iterable[Metric]:
        yield from _stages(self.stages)
        yield _ongoing(self.ongoing)
        says = "Deliveries due for more than a minute that nothing holds up; 0 unless no worker is alive."
        yield _gauge("deliveries_overdue", says, [], [([], float(self.overdue))])
        yield from _drains(self.drains)


async def _ask(api: Api) -> _Asked | None:
    """What the database says; None where it is away."""
    try:
        async with asyncio.timeout(_SECONDS):
            if api.tallies:
                await api.tallies.keep(api.db)
            async with api.db.read() as conn:
                return _Asked(
                    await backlog.stages(conn),
                    await backlog.ongoing(conn),
                    await drains.listed(conn),
                    await deliveries.overdue(conn, per_endpoint=PER_ENDPOINT),
                )
    except (StoreAway, TimeoutError):
        return None


def _page(asked: _Asked | None) -> bytes:
    DATABASE_UP.set(asked is not None)
    return generate_latest(REGISTRY) + (generate_latest(asked) if asked else b"")


def _stages(stages: Sequence[Stage]) -> Iterable[Metric]:
    waiting = [([stage.name], float(stage.waiting)) for stage in stages]
    late = [([stage.name], stage.late_s) for stage in stages]
    yield _gauge("stage_waiting", "Chunks to fold, transitions to fan out, deliveries to send.", ["stage"], waiting)
    yield _gauge("stage_lag_seconds", "For how long the oldest of them has been late.", ["stage"], late)


def _ongoing(ongoing: Sequence[Ongoing]) -> Metric:
    found = [([one.rule, one.severity, one.status], float(one.number)) for one in ongoing]
    return _gauge("incidents_ongoing", "Incidents that are not resolved.", ["rule", "severity", "status"], found)


# Counters of each drain; its app is one that is registered, so there are as many series as drains.
_COUNTED: tuple[tuple[str, str, Callable[[Drain], int]], ...] = (
    ("frames", "Frames stored.", lambda drain: drain.counts.frames),
    ("lines", "Messages stored.", lambda drain: drain.counts.lines),
    ("bytes", "Bytes stored, before compression.", lambda drain: drain.counts.bytes),
    ("repeats", "Frames that were stored before.", lambda drain: drain.counts.repeats),
    ("damaged", "Stretches that went to quarantine.", lambda drain: drain.counts.damaged),
    ("count_mismatches", "Frames with another Logplex-Msg-Count.", lambda drain: drain.counts.mismatches),
    ("lost", "Messages that Logplex says it dropped (L10).", lambda drain: drain.counts.lost),
)


def _drains(listed: Sequence[Drain]) -> Iterable[Metric]:
    for name, says, counted in _COUNTED:
        yield _counter(f"drain_{name}", says, ["app", "drain"], [(_named(one), counted(one)) for one in listed])
    refusals = [([*_named(one), status], count) for one in listed for status, count in one.counts.refusals.items()]
    yield _counter("drain_refusals", "Frames that were not taken.", ["app", "drain", "status"], refusals)
    heard = [(_named(one), one.counts.heard_at.timestamp()) for one in listed if one.counts.heard_at]
    yield _gauge("drain_heard_timestamp_seconds", "When its last frame came.", ["app", "drain"], heard)
    skews = [(_named(one), one.counts.skew_ms / 1000) for one in listed if one.counts.skew_ms is not None]
    yield _gauge("drain_clock_skew_seconds", "How long after its own time a line comes.", ["app", "drain"], skews)


def _named(drain: Drain) -> list[str]:
    return [drain.app, str(drain.id)]


def _gauge(name: str, says: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"drainwatch_{name}", says, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family


def _counter(name: str, says: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = CounterMetricFamily(f"drainwatch_{name}", says, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family
