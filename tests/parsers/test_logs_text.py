"""What `heroku logs` prints is read as if a drain had sent it."""

import pytest

from parsers.line import Line
from parsers.logs_text import read_logs_text, to_body
from parsers.octet_counting import whole_messages
from tests.parsers.readings import events
from tests.parsers.test_sample_lines import samples
from tests.parsers.test_stack_traces import TRACES, sample
from tests.vocabulary import NOON, at, message, stamp

HEAD = "2026-05-11T11:59:58+00:00"


def lines(text: str) -> list[Line]:
    return list(read_logs_text(text.encode(), NOON))


def test_a_line_is_read_with_its_time_source_process_and_text() -> None:
    text = f"{HEAD} heroku[web.1]: State changed from up to crashed\n"
    assert lines(text) == [Line(at("11:59:58"), "heroku", "web.1", "State changed from up to crashed")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HEAD} app[web.1]:", ("app", "web.1", "")),
        (f"{HEAD} app[web.1]: ", ("app", "web.1", "")),
        (f"{HEAD} app: hello", ("app", "-", "hello")),
        (f"{HEAD} app[web.1]:  two  spaces ", ("app", "web.1", " two  spaces ")),
        (f"{HEAD} app[web.1]: a: b[c]: d\r\n", ("app", "web.1", "a: b[c]: d")),
        (f"{HEAD} \x1b[36mapp[web.1]:\x1b[39m \x1b[1mhello\x1b[0m", ("app", "web.1", "hello")),
        (f'{HEAD} app[web.1]: [meta a="1"] text', ("app", "web.1", '[meta a="1"] text')),
    ],
)
def test_a_line_is_read_in_any_of_the_ways_it_is_printed(text: str, expected: tuple[str, str, str]) -> None:
    (line,) = lines(text)
    assert (line.source, line.process, line.text) == expected


def test_a_line_without_a_header_goes_on_with_the_one_before() -> None:
    read = lines(f"\n{HEAD} app[web.1]: Traceback\n  File x\n \n\n{HEAD} app[web.2]: next\n")
    assert [(line.process, line.text) for line in read] == [
        ("web.1", "Traceback"),
        ("web.1", "  File x"),
        ("web.2", "next"),
    ]


def test_the_first_line_may_lack_a_header() -> None:
    assert lines("› Warning: heroku update available\n") == [
        Line(NOON, "app", "-", "› Warning: heroku update available")
    ]


def test_the_body_says_what_the_text_says() -> None:
    text = f"{HEAD} heroku[web.1]: Error R14 (Memory quota exceeded)\n{HEAD} app[web.1]: café \n".encode()
    body = to_body(text)
    assert whole_messages(body) is not None
    assert [(event.code, event.ts) for event in events(body)] == [("R14", at("11:59:58"))]


def test_no_text_gives_no_lines() -> None:
    assert lines("") == []
    assert to_body(b"\n\n") == b""


def test_every_sample_gives_the_same_events_as_drain_body_and_as_printed_text() -> None:
    lines = [line.partition("] ") for _, line, _ in samples() if line.startswith(("app[", "heroku["))]
    lines += [("app[web.1", "] ", text) for path in TRACES for text in sample(path)[0] if text.strip()]
    told = [(speaker.partition("["), text) for speaker, _, text in lines]
    body = b"".join(message(source, process, text) for (source, _, process), text in told)
    printed = "".join(f"{stamp(NOON)} {source}[{process}]: {text}\n" for (source, _, process), text in told)
    assert [(one.kind, one.place, one.fields) for one in events(to_body(printed.encode()))] == [
        (one.kind, one.place, one.fields) for one in events(body)
    ]
