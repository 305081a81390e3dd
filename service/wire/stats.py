"""Counts of errors over time as JSON."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from typing_extensions import TypedDict

from service.store.stats import Count
from service.wire.instant import instant


class ErrorCountJson(TypedDict):
    """So many errors with the value `key` in the bucket that begins at `at`; `key` is null for those without such a value."""

    at: str
    key: str | None
    count: int


class ErrorCountsJson(TypedDict):
    """Of each key every bucket, empty ones too, the key with most errors first; one row of null and zeros where there are none.
    `left_out` is how many keys with fewer there are beyond `limit`."""

    items: list[ErrorCountJson]
    left_out: int


def error_counts_json(found: Iterable[Count], buckets: Sequence[datetime], *, left_out: int) -> ErrorCountsJson:
    """The JSON of counts, which are in order of their keys, over all of `buckets`."""
    by_key: dict[str | None, dict[datetime, int]] = {}
    for one in found:
        by_key.setdefault(one.key, {})[one.at] = one.count
    items: list[ErrorCountJson] = [
        {"at": instant(at), "key": key, "count": counts.get(at, 0)}
        for key, counts in (by_key or {None: {}}).items()
        for at in buckets
    ]
    return {"items": items, "left_out": left_out}
