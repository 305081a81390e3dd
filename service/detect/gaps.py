"""Time in which nobody could hear an app: what was lost on the way, and a drain that fell silent. Silence is not health.

What time alone ends (`quiet`, being up for long enough) counts only heard time: `Gaps.after` says when so much of it has
passed. A gap counts from the moment it is known: an end that came before that stays, however its lines come.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Of more nobody keeps count; what is older has long been waited for.
MOST_GAPS = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """From `since` on nobody heard the app, until `until` (None: nobody does yet); known since `known_at`.

    `reason` is the L code, or "silent"; `number` how many lines were lost, as far as somebody counted.
    """

    since: datetime
    until: datetime | None
    known_at: datetime
    reason: str
    number: int | None = None

    @property
    def is_silence(self) -> bool:
        return self.reason == SILENT


SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps of one app, in the order in which they became known."""

    known: tuple[Gap, ...] = ()

    def after(self, at: datetime, span: timedelta) -> datetime | None:
        """When, from `at` on, `span` of heard time has passed; None as long as nobody hears the app."""
        end = at + span
        if not self.known:
            return end
        heard_again = [gap for gap in self.known if gap.until is None or gap.until > at]
        counted: list[tuple[datetime, datetime]] = []
        for gap in sorted(heard_again, key=lambda one: one.known_at):
            if gap.known_at > end:
                break
            if gap.until is None:
                return None
            counted = _joined([*counted, (max(gap.since, at), gap.until)])
            end = _end(at, span, counted)
        return end

    def within(self, since: datetime, until: datetime | None) -> tuple[Gap, ...]:
        """The gaps that touch the time from `since` to `until` (None: up to now), by when they began."""
        touching = (
            gap
            for gap in self.known
            if (gap.until is None or gap.until >= since) and (until is None or gap.since < until)
        )
        return tuple(sorted(touching, key=lambda one: (one.since, one.known_at)))

    def lost(self, gap: Gap) -> "Gaps":
        """With a loss. Logplex counts on until a frame gets through: what it says again takes the place of what it said."""
        others = [one for one in self.known if (one.since, one.reason) != (gap.since, gap.reason)]
        before = [one.number or 0 for one in self.known if (one.since, one.reason) == (gap.since, gap.reason)]
        number = max([*before, gap.number or 0]) if before or gap.number is not None else None
        return Gaps((*others, replace(gap, number=number))[-MOST_GAPS:])

    def fell_silent(self, since: datetime, known_at: datetime) -> "Gaps":
        """With a silence that goes on."""
        return Gaps((*self.known, Gap(since, None, known_at, SILENT))[-MOST_GAPS:])

    def heard(self, at: datetime) -> "Gaps":
        """With the silence, if there is one, ended."""
        return Gaps(tuple(replace(one, until=at) if one.until is None else one for one in self.known))


NO_GAPS = Gaps()


def _joined(stretches: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The same time in stretches that do not meet, in order."""
    joined: list[tuple[datetime, datetime]] = []
    for since, until in sorted(stretches):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


def _end(at: datetime, span: timedelta, stretches: Iterable[tuple[datetime, datetime]]) -> datetime:
    """When `span` has passed since `at`, not counting `stretches` (apart, in order)."""
    end = at + span
    for since, until in stretches:
        if since >= end:
            break
        end += until - since
    return end
