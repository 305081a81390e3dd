"""Quantities in a named unit."""

import pytest

from parsers.quantities import megabytes, milliseconds, number, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("30001ms", 30001), ("18", 18), ("1.5s", 1500), ("0ms", 0), ("", None), ("fast", None), ("-1ms", None)],
)
def test_milliseconds(text: str, value: float | None) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512M", 512),
        ("1028MB", 1028),
        ("221.47MB", 221.47),
        ("4045060kB", 3950.254),
        ("5242880bytes", 5),
        ("12 pages", None),
    ],
)
def test_megabytes(text: str, value: float | None) -> None:
    assert megabytes(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("15m", 900), ("2h", 7200), ("7d", 604_800), ("90", 90), ("500ms", 0.5), ("1w", None)]
)
def test_seconds(text: str, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-3", -3),
        ("0.97", 0.97),
        ("0", 0),
        ("007", None),
        ("1e5", None),
        ("3fa94c1b", None),
        ("9" * 20, None),
        ("٣", None),
        ("", None),
    ],
)
def test_a_number_is_one_only_if_it_would_be_written_so_again(text: str, value: float | None) -> None:
    assert number(text) == value


def test_a_whole_quantity_is_an_int() -> None:
    assert isinstance(megabytes("512.00MB"), int)
