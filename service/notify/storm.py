"""When many incidents open at once: told together, soon, and once a minute at most. Pure.

The first few of a minute are told at once. Those that follow them are held for a moment to see whether they are a storm;
in a storm each endpoint gets one digest of all that it wants, and the next one a minute later at the earliest.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
# More than so many openings in a minute are a storm (DESIGN section 5).
MOST = 10
# So many of a minute are told without waiting for what may follow.
AT_ONCE = 3
# How long others are held: long enough for what one cause breaks, short enough for a page.
GATHERS = timedelta(seconds=2)


def holds_back(owed: Sequence[datetime], *, told: int, digest_at: datetime | None, now: datetime) -> bool:
    """Whether openings that are owed wait for more. `owed` is when each was committed, `told` how many were told in the minute
    before `now`, `digest_at` when the last digest was."""
    if not owed:
        return False
    waited = now - min(owed)
    if waited < timedelta(0) or waited >= MINUTE:  # another clock than ours; or long enough
        return False
    if digest_at is not None and now - digest_at < MINUTE:
        return True
    return told + len(owed) > AT_ONCE and waited < GATHERS


def is_digest(wanted: int, *, told: int) -> bool:
    """Whether an endpoint gets as one digest what it wants of the openings told now; `told` as above, at that endpoint."""
    return wanted > 1 and wanted + told > MOST
