"""What Logplex makes of an answer, and how long it waits before it connects again."""

from enum import Enum

TRIES = 3
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 3.0
# A connection is closed when the last success lies this far back: 144 s, and at random up to 15 more.
IDLE_SECONDS, IDLE_SPREAD_SECONDS = 144.0, 15.0
NO_ANSWER = 0

_TOO_MANY_REQUESTS = 429


class Verdict(Enum):
    """What becomes of a frame."""

    TAKEN = "done"
    DROPPED = "given up for good; the connection is kept"
    AGAIN = "a try is used up; the connection is closed"


def verdict(status: int) -> Verdict:
    """What Logplex makes of a status; `NO_ANSWER` for none in time, a broken connection, or what is no HTTP."""
    if 200 <= status <= 299:
        return Verdict.TAKEN
    if 400 <= status <= 499 and status != _TOO_MANY_REQUESTS:
        return Verdict.DROPPED
    return Verdict.AGAIN


def shuttle_verdict(status: int) -> Verdict:
    """What log-shuttle makes of it: whoever answers anything at all has got it."""
    if status == NO_ANSWER:
        return Verdict.AGAIN
    return Verdict.TAKEN if 200 <= status <= 299 else Verdict.DROPPED


def delay_s(attempt: int, chance: float) -> float:
    """Seconds to wait before connecting, the first time with attempt 1: 10 ms × ⌊(2^u − 1) / 2⌋, u from 1 to
    min(10, attempt), as `chance` in [0, 1) has it."""
    u = 1 + int(chance * min(10, attempt))
    return 0.01 * ((1 << u) - 1 >> 1)
