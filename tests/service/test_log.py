"""One record is one line of logfmt, whatever it holds."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.logfmt import read_pairs
from service.log import line_of, log, start_logging


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    start_logging("info")
    logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)


def test_a_record_is_its_event_and_its_fields_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("frame.stored", drain=7, messages=100, damaged=None, repeated=False, ms=1.5)
    assert capsys.readouterr() == ("", "at=frame.stored drain=7 messages=100 repeated=false ms=1.5\n")


def test_what_is_worse_than_info_says_how_bad_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    log.warning("watch.away", reason="the database is away")
    assert capsys.readouterr().err == 'at=watch.away level=warning reason="the database is away"\n'


def test_records_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("warning")
    log.info("frame.stored")
    log.warning("watch.away")
    assert capsys.readouterr().err == "at=watch.away level=warning\n"


def test_a_traceback_is_on_the_records_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("a")
    except KeyError:
        log.exception("watch.failed", app="shop")
    line = capsys.readouterr().err
    assert line.startswith('at=watch.failed level=error app=shop trace="Traceback (most recent call last):\\n')
    assert line.count("\n") == 1


def test_a_librarys_warning_is_a_line_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("info")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request\nfrom %s", "10.0.0.1")
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example.com/secret")
    assert capsys.readouterr().err == 'at=uvicorn.error level=warning message="Invalid HTTP request\\nfrom 10.0.0.1"\n'


@given(st.text())
def test_a_value_is_read_back_as_it_was(text: str) -> None:
    line = line_of({"at": "x", "value": text, "last": 1})
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    if all(letter.isprintable() or letter in "\n\r\t" for letter in text):
        assert read_pairs(line) == {"at": "x", "value": text, "last": "1"}
