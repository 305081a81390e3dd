"""When a delivery that failed is tried again: exponential back-off with jitter, and what the receiver asks for."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

GIVE_UP_AFTER = timedelta(hours=24)

_FIRST = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)
# Up to a quarter is added by chance, so that what failed together does not come back together; 48 min and a quarter of
# it are the hour that is never exceeded.
_JITTER = 0.25
_STEADY = _LONGEST / (1 + _JITTER)


def next_try(
    now: datetime, *, failures: int, give_up_at: datetime, retry_after: timedelta | None, chance: float
) -> datetime | None:
    """When to try again after `failures` failures in a row (at least 1), or None: never, for it would be too late.

    5 s after the first, twice as long after each further one, at most an hour; never earlier than the receiver asked
    (`retry_after`, itself at most an hour). `chance` is a number from 0 up to 1.
    """
    # 2**16 times the first wait is far beyond the longest already; the bound keeps the power small after any number.
    steady = min(_FIRST * 2 ** min(failures - 1, 16), _STEADY)
    wait = max(steady * (1 + _JITTER * chance), retry_after or timedelta(0))
    due_at = now + wait
    return due_at if due_at <= give_up_at else None


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What a `Retry-After` header asks for: seconds, or until an HTTP date (RFC 9110 §10.2.3), within 0 s and an hour.

    None where there is no such header or nobody can read it.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # A number of any length: nine digits are beyond the hour already.
        return min(timedelta(seconds=int(text[:9])), _LONGEST)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:  # "-0000"; HTTP dates are GMT
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), _LONGEST)
