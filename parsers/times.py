"""How long many requests took, as a distribution that adds up over time and apps: how many fell into which bucket.

Buckets are 1.5 % wide and never narrower than a millisecond, so that a value read back is within 0.75 % of what was logged, and
exact up to 130 ms. (The idea is DDSketch's: Masson, Rim and Lee, 2019.)
"""

import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence

# How many of a bucket: {bucket: count}.
Times = Mapping[int, int]

LONGEST_MS = 10**9  # eleven days; what is longer counts as that
_WIDTH = 1.015
# How wide the counts are written: struct's letter, and what no longer fits.
_SIZES = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32), ("Q", 1 << 64))


def _bounds() -> list[int]:
    """The least milliseconds of each bucket."""
    bounds = [0, 1]
    while bounds[-1] < LONGEST_MS:
        bounds.append(max(bounds[-1] + 1, int(bounds[-1] * _WIDTH)))
    return bounds


_BOUNDS = _bounds()
_MIDDLES = [(begin + end - 1) / 2 for begin, end in zip(_BOUNDS, [*_BOUNDS[1:], _BOUNDS[-1] + 1], strict=True)]


def bucket_of(ms: int) -> int:
    """The number of the bucket that `ms` falls into."""
    return bisect_right(_BOUNDS, ms) - 1


def quantiles(times: Times, shares: Sequence[float]) -> list[float | None]:
    """The values below which these shares of all lie, in ms, between the two nearest ranks; None where there are none.

    Within 0.75 % of those of the values themselves.
    """
    count = sum(times.values())
    if not count:
        return [None for _ in shares]
    buckets = sorted(times)
    ends, passed = [], 0
    for bucket in buckets:
        passed += times[bucket]
        ends.append(passed)

    def at(rank: int) -> float:
        return _MIDDLES[buckets[bisect_right(ends, rank)]]

    values: list[float | None] = []
    for share in shares:
        place = share * (count - 1)
        below = at(int(place))
        values.append(round(below + (at(min(int(place) + 1, count - 1)) - below) * (place % 1), 1))
    return values


def pack_times(times: Times) -> bytes:
    """The buckets, then their counts, as narrow as they can be: 3 bytes a bucket in a usual minute."""
    if not times:
        return b""
    size = next(size for size, limit in _SIZES if max(times.values()) < limit)
    return size.encode() + struct.pack(f"<{len(times)}H{len(times)}{size}", *times, *times.values())


def unpack_times(packed: bytes) -> dict[int, int]:
    """What `pack_times` has packed."""
    if not packed:
        return {}
    size = packed[:1].decode()
    many = (len(packed) - 1) // (2 + struct.calcsize(f"<{size}"))
    numbers = struct.unpack_from(f"<{many}H{many}{size}", packed, 1)
    return dict(zip(numbers[:many], numbers[many:], strict=True))
