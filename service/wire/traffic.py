"""A bucket of traffic as JSON."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from typing_extensions import TypedDict

from parsers.times import quantiles
from parsers.traffic import Minute
from service.wire.instant import instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TrafficJson(TypedDict):
    """The requests of a bucket that begins at `at`. `errors` were answered with 5xx; `by_status` counts by class (`2xx`, `none`
    where there was no answer); the times are those to serve a request, null where none has one."""

    at: str
    requests: int
    errors: int
    bytes: int
    by_status: Mapping[str, int]
    by_code: Mapping[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    connect_p95_ms: float | None


class TrafficListJson(TypedDict):
    """The buckets in the order of time, empty ones too."""

    items: list[TrafficJson]


def bucket_begin(at: datetime, width: timedelta) -> datetime:
    """The begin of the bucket that `at` is in: a whole multiple of the width since 1970, UTC."""
    return EPOCH + (at - EPOCH) // width * width


def traffic_json(at: datetime, counts: Minute) -> TrafficJson:
    """The JSON of what was counted in a bucket."""
    p50, p95, p99 = quantiles(counts.service, (0.5, 0.95, 0.99))
    [connect] = quantiles(counts.connect, (0.95,))
    return {
        "at": instant(at),
        "requests": counts.requests,
        "errors": counts.errors,
        "bytes": counts.bytes,
        "by_status": dict(sorted(counts.by_status.items())),
        "by_code": dict(sorted(counts.by_code.items())),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "connect_p95_ms": connect,
    }


def bucket_begins(since: datetime, until: datetime, width: timedelta) -> Iterator[datetime]:
    """The begins of all buckets that have a part in [since, until)."""
    at = bucket_begin(since, width)
    while at < until:
        yield at
        at += width
