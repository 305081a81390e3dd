"""Ids of rows that grow with the traffic: UUIDs of version 7, which sort by the time they were made (RFC 9562 §5.7).

The 74 bits that the RFC leaves free are a count of the ids this process has made, and chance:

    48 bits milliseconds | version 7 | 12 bits count, high | variant 10 | 30 bits count, low | 32 bits random

So two ids of one process and one millisecond stand in the order in which they were made, whichever order their times
came in. The count begins at a random place in the lower half of its range: 2**41 ids are left before it could run over,
and two processes meet only if place and chance agree in the same millisecond.
"""

import itertools
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_count = itertools.count(secrets.randbits(41))
_latest_ms = 0


def new_id(at: datetime | None = None) -> UUID:
    """A new id made at `at` (aware; to the millisecond, rounded down), or now.

    Ids made without `at` rise also while the machine's clock is set back. Ids with equal `at` rise.
    """
    return _id(_now_ms() if at is None else (at - _EPOCH) // _MILLISECOND, secrets.randbits(32))


def new_ids(at: datetime, number: int) -> list[UUID]:
    """As many new ids, rising: 1.6 µs each, where one alone costs 2.8."""
    ms = (at - _EPOCH) // _MILLISECOND
    return [_id(ms, chance) for chance in memoryview(os.urandom(4 * number)).cast("I")]


def made_at(id: UUID) -> datetime:
    """When an id of version 7 was made: aware UTC, to the millisecond."""
    return _EPOCH + (id.int >> 80) * _MILLISECOND


def _id(ms: int, chance: int) -> UUID:
    count = next(_count)
    return UUID(
        int=ms << 80 | 0x7 << 76 | (count >> 30 & 0xFFF) << 64 | 0b10 << 62 | (count & 0x3FFFFFFF) << 32 | chance
    )


def _now_ms() -> int:
    global _latest_ms
    _latest_ms = max(_latest_ms, time.time_ns() // 1_000_000)
    return _latest_ms
