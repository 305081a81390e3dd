"""The header of a message: as Logplex writes it, as RFC 5424 would have it, and as badly as it can be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.line import Line
from parsers.syslog import read_line, read_time, span_of, why_unreadable
from tests.vocabulary import NOON, at, stamp

TEN = datetime(2026, 9, 26, 10, 0, 5, tzinfo=UTC)


def text_of(rest: str) -> str:
    """The text of a message with this behind its time."""
    return read_line(f"<190>1 2026-09-26T10:00:05+00:00 {rest}".encode(), NOON).text


def test_a_line_is_its_time_source_process_and_text() -> None:
    line = read_line(b"<45>1 2026-09-26T10:00:05+00:00 host heroku web.1 - State changed from starting to up\n", NOON)
    assert line == Line(TEN, "heroku", "web.1", "State changed from starting to up")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-09-26T10:00:05+00:00", TEN),
        ("2026-09-26T10:00:05Z", TEN),
        ("2026-09-26t10:00:05z", TEN),
        ("2026-09-26T10:00:05-00:00", TEN),
        ("2026-09-26T10:00:05Z+00:00", TEN),
        ("2026-09-26T03:00:05-07:00", TEN),
        ("2026-09-26T15:30:05+05:30", TEN),
        ("2026-09-26T10:00:05", TEN),
        ("2026-09-26T10:00:05.9+00:00", TEN.replace(microsecond=900_000)),
        ("2026-09-26T10:00:05.96214+00:00", TEN.replace(microsecond=962_140)),
        ("2026-09-26T10:00:05.123456789Z", TEN.replace(microsecond=123_456)),
    ],
)
def test_a_time_is_read_in_any_of_the_ways_it_is_written(stamp: str, expected: datetime) -> None:
    time = read_time(stamp.encode())
    assert time == expected
    assert time.tzinfo is UTC


@pytest.mark.parametrize(
    "stamp", ["-", "", "yesterday", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "2026-09-26Té", "9" * 9999]
)
def test_a_time_that_cannot_be_read_is_the_time_of_receipt(stamp: str) -> None:
    line = read_line(f"<190>1 {stamp} host app web.1 - hello\n".encode(), NOON)
    assert line == Line(NOON, "app", "web.1", "hello")


@pytest.mark.parametrize("end", ["", " ", " \n"])
def test_an_empty_line_has_an_empty_text(end: str) -> None:
    assert text_of(f"host app web.1 -{end}") == ""


def test_a_text_loses_its_last_newline_and_no_other() -> None:
    assert text_of("host app web.1 - a\nb\n\n") == "a\nb\n"


def test_a_text_keeps_its_spaces_tabs_and_escapes() -> None:
    assert text_of("host app web.1 -   \x1b[1;34m\tindented\b") == "  \x1b[1;34m\tindented\b"


def test_what_is_no_utf8_and_nul_become_replacement_characters() -> None:
    line = read_line(b"<190>1 2026-09-26T10:00:05+00:00 host app web\xff.1 - caf\xc3\xa9 \xff \x00 cut\xe2\x82", NOON)
    assert line.text == "café � � cut�"
    assert line.process == "web�.1"


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("shuttle app web.1 - - hello", "hello"),
        ("shuttle app web.1 - -", ""),
        ("mymachine su - ID47 - \ufeffBOM'su root' failed", "BOM'su root' failed"),
        ('mymachine evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application"] An event', "An event"),
        ('mymachine evntslog - ID47 [a b="1"][c@1 d="\\]\\"x"] An event', "An event"),
        ('host app web.1 - [meta sequenceId="1"] hello', "hello"),
        ("host heroku web.1 - - Restarting", "Restarting"),
    ],
)
def test_structured_data_is_not_part_of_the_text(rest: str, text: str) -> None:
    assert text_of(rest) == text


@pytest.mark.parametrize(
    "text",
    [
        "- an item of a list",
        "-",
        "[DATABASE] [9-1]  sql_error_code = 28000 FATAL:  no pg_hba.conf entry",
        "[2026-05-11 12:00:00 +0000] [12] [INFO] Booting worker",
        '[not "closed',
        '[id key="v" text',
        '{"a": 1}',
    ],
)
def test_a_text_that_only_looks_like_structured_data_is_kept(text: str) -> None:
    assert text_of(f"host app web.1 - {text}") == text


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"<45>1",
        b"<45>1 2026-09-26T10:00:05+00:00 host app web.1",
        b"hello world, this is a text",
        b"<4x>1 a b c d e f",
    ],
)
def test_a_message_with_fewer_than_six_fields_or_no_priority_is_unreadable(message: bytes) -> None:
    assert "expected <PRI>VERSION" in (why_unreadable(message) or "")


def test_why_a_header_is_unreadable_is_said_with_what_was_there() -> None:
    assert why_unreadable(b"<45>1 2026-09-26T10:00:05+00:00 host") == (
        "the header of b'<45>1 2026-09-26T10:00:05+00:00 host' has 3 of 6 fields; "
        "expected <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID"
    )


@pytest.mark.parametrize("message", [b"<45>1 - host app web.1 -", b"<999>12 - host app web.1 - x"])
def test_a_message_with_six_fields_and_a_priority_is_readable(message: bytes) -> None:
    assert why_unreadable(message) is None


WEIRD = st.sampled_from(
    [
        "yesterday",
        "2026-05-11T12:00:99+00:00",
        "2026-05-11T14:00:30+02:00",
        "2026-05-11T12:00:31Z",
        "",
        "2026-05-11+00:00",
        "2026-05-11T12:00:00+00:00:30",
        "2026-W20-1",
    ]
)
USUAL = st.datetimes(datetime(2026, 5, 11, 11, 59), datetime(2026, 5, 11, 12, 1)).map(
    lambda time: stamp(time.replace(tzinfo=UTC))
)


@given(st.lists(USUAL | WEIRD, max_size=8), st.timedeltas(timedelta(-1), timedelta(1)))
def test_the_span_of_some_times_is_that_of_each_one_read(stamps: list[str], late: timedelta) -> None:
    received_at = NOON + late
    times = [read_time(stamp.encode()) or received_at for stamp in stamps] or [received_at]
    assert span_of([stamp.encode() for stamp in stamps], received_at) == (min(times), max(times))


def test_a_span_is_in_utc_whatever_the_offsets() -> None:
    first, last = span_of([b"2026-05-11T14:00:00+02:00", b"2026-05-11T12:00:01+00:00"], NOON)
    assert (first, last) == (at("12:00"), at("12:00:01"))
    assert first.utcoffset() == last.utcoffset() == timedelta(0)
