from datetime import UTC, datetime

import pytest

from service.notify.quiet import parse_quiet_hours, quiet_until

NIGHT = "22:00-07:00 Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-05-11T19:59:59", None),  # 21:59:59 in Berlin
        (NIGHT, "2026-05-11T20:00:00", "2026-05-12T05:00:00"),
        (NIGHT, "2026-05-12T04:59:59", "2026-05-12T05:00:00"),
        (NIGHT, "2026-05-12T05:00:00", None),
        (NIGHT, "2026-01-11T20:30:00", None),  # winter: an hour later
        (NIGHT, "2026-01-11T21:30:00", "2026-01-12T06:00:00"),
        (NIGHT, "2026-03-28T21:00:00", "2026-03-29T05:00:00"),  # the night that is an hour shorter
        ("12:00-13:30 UTC", "2026-05-11T13:29:00", "2026-05-11T13:30:00"),
        ("12:00-13:30 UTC", "2026-05-11T14:00:00", None),
        ("01:00-06:00 America/Los_Angeles", "2026-05-11T09:00:00", "2026-05-11T13:00:00"),
    ],
)
def test_quiet_hours_are_read_from_the_clocks_of_their_zone(hours: str, now: str, until: str | None) -> None:
    assert quiet_until(hours, at(now)) == (at(until) if until else None)


@pytest.mark.parametrize(
    "text",
    ["", "22-7", "22:00-07:00", "22:00-07:00 Mars/Base", "24:00-07:00 UTC", "22:00-22:00 UTC", "22:00-07:00 ../etc"],
)
def test_what_are_no_hours_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError):
        parse_quiet_hours(text)


def test_without_hours_or_in_a_zone_nobody_knows_it_is_never_quiet() -> None:
    assert quiet_until(None, at("2026-05-11T00:00:00")) is None
    assert quiet_until("00:00-23:59 Mars/Base", at("2026-05-11T12:00:00")) is None
