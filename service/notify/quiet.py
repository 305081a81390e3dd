"""Quiet hours: when an endpoint is left alone with all that is not critical."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EXPECTED = 'hours and a time zone, as in "22:00-07:00 Europe/Berlin"'

_TEXT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) ?[-–] ?([01][0-9]|2[0-3]):([0-5][0-9]) +([A-Za-z0-9_+/-]{1,64})")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begins` until `ends` by the clocks of `zone`, every day; over midnight where `ends` is the earlier one."""

    begins: time
    ends: time
    zone: tzinfo

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours end in which `now` lies (aware UTC); None outside of them."""
        today = now.astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today):
            last = day + timedelta(days=1) if self.ends <= self.begins else day
            # In UTC: two times of one zone are compared by their digits, and an hour of a year comes twice.
            begin = datetime.combine(day, self.begins, self.zone).astimezone(UTC)
            end = datetime.combine(last, self.ends, self.zone).astimezone(UTC)
            if begin <= now < end:
                return end
        return None


@lru_cache(maxsize=256)
def parse_quiet_hours(text: str) -> QuietHours:
    """`22:00-07:00 Europe/Berlin` → hours. Raises ValueError for other text and for a zone that nobody knows."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(EXPECTED)
    begins, ends = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if begins == ends:
        raise ValueError("hours of which some are not quiet")
    return QuietHours(begins, ends, _zone(found[5]))


def quiet_until(text: str | None, now: datetime) -> datetime | None:
    """When the quiet hours end in which `now` lies, of an endpoint that has such hours. Hours in a zone that this machine does
    not know (any more) are not quiet: rather too loud than silent."""
    try:
        return parse_quiet_hours(text).until(now) if text else None
    except ValueError:
        return None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # also where there is no database of zones
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"a time zone of this machine's database, as in {EXPECTED.partition(', as in ')[2]}"
        ) from error
