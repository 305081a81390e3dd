"""Every counter, gauge and histogram of a process, by name. `GET /metrics` shows them, and beside them what
`service/api/metrics.py` asks the database for.

They are numbers of this process alone and begin at 0 with it; whoever scrapes several adds them up. No label holds an app's
or a user's text: statuses, kinds, rules and outcomes are few, and known from the configuration.

What happens once per commit, fold or delivery is prometheus-client's own, 0.4 µs a count and 0.9 a time. What happens once
per frame is `Answers`, plain lists that cost 0.2 µs for both.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began would double the page
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

# Logplex gives an answer 5 s, we give it 4.5; its p99 at half load is to be under 0.1.
ANSWER_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 4.5, 5.0)
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ATTEMPT_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FRAMES = tuple(float(1 << power) for power in range(11))  # 1 … 1024
_BYTES = tuple(float(1 << power) for power in range(10, 25, 2))  # 1 KiB … 16 MiB
# What POST /drain may say; the series of each is there from the start, so that the first of its kind shows as a rise.
STATUSES = (204, 401, 403, 405, 413, 415, 503)


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"drainwatch_{name}", says, labels, registry=REGISTRY)


def _gauge(name: str, says: str) -> Gauge:
    return Gauge(f"drainwatch_{name}", says, registry=REGISTRY)


def _histogram(name: str, says: str, buckets: Sequence[float]) -> Histogram:
    return Histogram(f"drainwatch_{name}", says, registry=REGISTRY, buckets=buckets)


# -- POST /drain: what was asked and answered ------------------------------------------------------------------------


class _Times:
    """How many answers there were in each bucket, those beyond the last bound at the end; and the sum of their seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(ANSWER_SECONDS) + 1)
        self.seconds = 0.0


class Answers:
    """The answers of POST /drain by status, and the seconds from a request's head to its answer."""

    def __init__(self) -> None:
        self._by_status = {status: _Times() for status in STATUSES}

    def note(self, status: int, seconds: float) -> None:
        """One more answer."""
        times = self._by_status.get(status) or self._by_status.setdefault(status, _Times())
        times.counts[bisect_left(ANSWER_SECONDS, seconds)] += 1
        times.seconds += seconds

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        answers = CounterMetricFamily("drainwatch_answers", "Answers of POST /drain.", labels=["status"])
        seconds = HistogramMetricFamily(
            "drainwatch_answer_seconds", "Time from a request's head to its answer.", labels=["status"]
        )
        for status, times in self._by_status.items():
            answers.add_metric([str(status)], sum(times.counts))
            buckets = list(zip([*map(str, ANSWER_SECONDS), "+Inf"], accumulate(times.counts), strict=True))
            seconds.add_metric([str(status)], buckets, times.seconds)
        return (answers, seconds)


ANSWERS = Answers()
REGISTRY.register(ANSWERS)

ADMISSION_BYTES = _gauge("admission_bytes", "Bytes received or announced, and not yet committed.")
ADMISSION_WAITING = _gauge("admission_waiting", "Requests held back now, since there is no room for their bytes.")
ADMISSION_WAIT = _histogram("admission_wait_seconds", "Time held back, of requests that were.", ANSWER_SECONDS)
GZIPPED = _counter("gzip_frames", "Frames that came compressed.")
COUNT_MISMATCHES = _counter("count_mismatches", "Frames whose Logplex-Msg-Count is not the number of messages found.")

# -- the commit ------------------------------------------------------------------------------------------------------

COMMIT_WAITING = _gauge("commit_waiting_frames", "Frames that wait for the next commit now.")
COMMIT_SECONDS = _histogram("commit_seconds", "Time of a commit, with the reading of its frames.", _COMMIT_SECONDS)
COMMIT_FRAMES = _histogram("commit_frames", "Frames in a commit.", _FRAMES)
COMMIT_BYTES = _histogram("commit_bytes", "Bytes in a commit, before compression.", _BYTES)
COMMIT_FAILURES = _counter("commit_failures", "Commits that failed and are tried again.")

FRAMES = _counter("frames", "Frames stored.")
MESSAGES = _counter("messages", "Messages stored.")
BYTES = _counter("bytes", "Bytes of messages and damage stored, before compression.")
EVENTS = _counter("events", "Events stored, by kind.", "kind")
REPEATS = _counter("repeats", "Frames that were stored before.")
DAMAGED = _counter("quarantined", "Stretches of bodies that could not be read and went to quarantine.")

# -- the spool -------------------------------------------------------------------------------------------------------

SPOOL_BYTES = _gauge("spool_bytes", "Bytes on disk that wait for the database.")
SPOOL_FRAMES = _gauge("spool_frames", "Frames on disk that wait for the database.")
SPOOLED = _counter("spooled_frames", "Frames answered 204 from the spool.")
SPOOL_DRAINED = _counter("spool_drained_frames", "Frames of the spool that are committed.")
SPOOL_DAMAGED = _counter("spool_damaged", "Stretches of the spool's files that could not be read, and were skipped.")
SPOOL_REFUSALS = _counter("spool_refusals", "Frames that the spool could not take: full, or the disk failed.")

# -- the database ----------------------------------------------------------------------------------------------------

DATABASE_UP = _gauge("database_up", "Whether the database answers what /metrics asks.")

# -- the worker ------------------------------------------------------------------------------------------------------

FOLD_SECONDS = _histogram("fold_seconds", "Time of a fold: a batch of one app, with its commit.", _COMMIT_SECONDS)
FOLD_FAILURES = _counter("fold_failures", "Folds that failed otherwise than by the database going away.")
FOLDED = _counter("folded_chunks", "Chunks folded.")
TRANSITIONS = _counter("transitions", "Steps of incidents (opened, resolved …) fanned out.", "rule", "step")
ATTEMPTS = _counter("delivery_attempts", "Attempts to deliver, by outcome.", "outcome")
ATTEMPT_SECONDS = _histogram("delivery_attempt_seconds", "Time until a receiver's answer.", _ATTEMPT_SECONDS)
for _outcome in ("delivered", "failed", "dead"):
    ATTEMPTS.labels(_outcome)
