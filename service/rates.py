"""How often somebody may do something: a bucket of tokens for each, which fills evenly and from which each doing takes one.

Kept in memory: each process counts for itself. A bucket that is full again is forgotten.
"""

import math
from dataclasses import dataclass

_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether it was allowed; of `limit` a minute so many are left, and in so many seconds all are there again, or one is."""

    allowed: bool
    limit: int
    left: int
    full_in: int
    next_in: int


class Rates:
    """Buckets of `limit` tokens, filled within a minute. Times are seconds of any clock that does not go back."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: dict[object, tuple[float, float]] = {}  # key → how much was missing, and when

    def take(self, key: object, now: float) -> Taken:
        """Takes one from the bucket of `key`, if there is one in it."""
        missing = self._missing(key, now)
        allowed = missing <= self.limit - 1
        if allowed:
            missing += 1
            if len(self._used) >= _MOST_KEPT:
                self._forget(now)
            self._used[key] = missing, now
        a_second = self.limit / 60
        next_in = math.ceil(max(0.0, missing - self.limit + 1) / a_second)
        return Taken(
            allowed, self.limit, max(0, math.floor(self.limit - missing)), math.ceil(missing / a_second), next_in
        )

    def is_spent(self, key: object, now: float) -> int:
        """In how many seconds there is one for `key`; 0: there is."""
        return math.ceil(max(0.0, self._missing(key, now) - self.limit + 1) * 60 / self.limit)

    def _missing(self, key: object, now: float) -> float:
        missing, at = self._used.get(key, (0.0, now))
        return max(0.0, missing - (now - at) * self.limit / 60)

    def _forget(self, now: float) -> None:
        full = [key for key in self._used if self._missing(key, now) == 0]
        for key in full or list(self._used)[: _MOST_KEPT // 2]:
            del self._used[key]
