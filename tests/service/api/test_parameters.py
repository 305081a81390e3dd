from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.parameters import parse_time

NOW = datetime(2026, 5, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("0m", NOW),
        ("99999999d", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:60Z", datetime.max.replace(tzinfo=UTC)),
        ("2026-05-11T12:00:00Z", NOW),
        ("2026-05-11t12:00:00z", NOW),
        ("2026-05-11T14:00:00+02:00", NOW),
        ("2026-05-11T14:00:00 02:00", NOW),  # a `+` that was not encoded
        ("2026-05-11T12:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-05-11T12:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_rfc_3339_or_as_long_ago_as_it_says(text: str, at: datetime) -> None:
    assert parse_time(text, now=NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "15",
        "15 m",
        "-15m",
        "1.5h",
        "2026-05-11",
        "2026-05-11T12:00:00",
        "2026-02-30T12:00:00Z",
        "2026-W20-1T12:00:00Z",
        "٢h",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text, now=NOW)


@given(text=st.text(max_size=40))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with suppress(ValueError):
        assert parse_time(text, now=NOW).tzinfo is UTC
