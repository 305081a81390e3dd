"""Stack traces of five languages: each file of samples/traces is one trace, and what must be read in it below `---`."""

import json
from pathlib import Path

import pytest

from parsers import stack_traces
from parsers.event import Event
from tests.parsers.readings import ROOT, events
from tests.vocabulary import frame_of, message

TRACES = sorted((ROOT / "samples" / "traces").glob("*.txt"))
HELLO = message("app", "web.1", "hello")


def sample(path: Path) -> tuple[list[str], dict[str, object]]:
    """The lines of a trace, and what they say."""
    lines, _, said = path.read_text().partition("\n---\n")
    return lines.split("\n"), json.loads(said)


def tracebacks(*texts: str, process: str = "web.1") -> list[Event]:
    """The traces that some lines of one dyno are."""
    body = frame_of(*(message("app", process, text) for text in texts))
    return [event for event in events(body) if event.kind == "traceback"]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_trace_as_its_language_prints_it_is_one_event(path: Path) -> None:
    lines, said = sample(path)
    (event,) = tracebacks("hello", *lines, "GET / 200")
    assert {"line": event.message, **event.fields} == said
    assert (event.severity.label, event.code, event.dyno, event.process) == ("error", None, "web.1", "web.1")


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_trace_stands_at_its_first_line(path: Path) -> None:
    (event,) = tracebacks("hello", *sample(path)[0])
    # A Rails log begins with an empty line.
    assert event.place == 1 + (path.stem == "rails")


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_trace_in_one_message_of_many_lines_is_the_same(path: Path) -> None:
    lines, said = sample(path)
    (event,) = tracebacks("\n".join(lines))
    assert {"line": event.message, **event.fields} == said


def test_every_language_is_sampled() -> None:
    assert {sample(path)[1]["language"] for path in TRACES} == {"python", "node", "java", "ruby", "go"}


def test_traces_one_behind_the_other_are_two() -> None:
    python, _ = sample(TRACES[[path.stem for path in TRACES].index("python")])
    node, _ = sample(TRACES[[path.stem for path in TRACES].index("node")])
    found = tracebacks(*python, *node, *python)
    assert [event.fields["language"] for event in found] == ["python", "node", "python"]


def test_a_line_of_another_worker_within_a_trace_does_not_end_it() -> None:
    (event,) = tracebacks(
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 1, in f',
        '10.0.0.1 - - "GET / HTTP/1.1" 200',
        "    g()",
        "INFO: ready",
        "ValueError: x",
    )
    assert (event.fields["exception"], event.fields["lines"]) == ("ValueError", 6)


@pytest.mark.parametrize(
    "texts",
    [
        ("Error: no", "hello", "hello"),
        ("TypeError: no",),
        ("panic: no", "hello"),
        ("    at 5 pm", "Error: x", "    at noon"),
        ("see x.rb:5:in `pay'", "hello"),
        ("\tat com.example.Shop.pay(Shop.java:12)",),
        ("caught: Traceback (most recent call last)", "x"),
    ],
)
def test_what_only_looks_like_a_part_of_one_is_none(texts: tuple[str, ...]) -> None:
    assert tracebacks(*texts) == []


def test_a_trace_whose_exception_never_came_is_one_without() -> None:
    (event,) = tracebacks("Traceback (most recent call last):", '  File "/app/a.py", line 1, in f', "    g()")
    assert (event.fields["exception"], event.message) == (None, "Traceback (most recent call last):")
    assert event.fields["frames"] == ["/app/a.py:1 in f"]


def test_a_chain_that_was_cut_tells_the_exception_that_is_known() -> None:
    (event,) = tracebacks(
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 1, in f',
        "ValueError: x",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "/app/b.py", line 2, in g',
    )
    assert (event.fields["exception"], event.fields["frames"]) == ("ValueError", ["/app/a.py:1 in f"])


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("KeyError: 'x'", ("KeyError", "'x'")),
        ("KeyboardInterrupt", ("KeyboardInterrupt", "")),
        ("socket.timeout: timed out", ("socket.timeout", "timed out")),
        ("app.f.<locals>.Wrong: x", ("app.f.<locals>.Wrong", "x")),
        ("INFO: ready", None),
        ("done", None),
        ("note: x", None),
        ("Listening at: http://0.0.0.0", None),
    ],
)
def test_the_line_that_names_pythons_exception(text: str, raised: tuple[str, str] | None) -> None:
    lines = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', text]
    (event,) = tracebacks(*lines)
    expected = raised or (None, None)
    assert (event.fields["exception"], event.fields["message"]) == expected


def test_no_more_frames_are_kept_than_the_newest_fifty() -> None:
    calls = [f'  File "a.py", line {n}, in f' for n in range(1, 201)]
    (event,) = tracebacks("Traceback (most recent call last):", *calls, "RecursionError: too deep")
    frames = event.fields["frames"]
    assert isinstance(frames, list)
    assert (len(frames), frames[0], frames[-1]) == (stack_traces.FRAMES, "a.py:200 in f", "a.py:151 in f")


def test_only_an_apps_own_lines_are_traces() -> None:
    lines = ("Traceback (most recent call last):", '  File "a.py", line 1, in f', "ValueError: x")
    for source, process in (("heroku", "web.1"), ("heroku", "router"), ("app", "api")):
        body = frame_of(*(message(source, process, text) for text in lines))
        assert [event for event in events(body) if event.kind == "traceback"] == []
    assert len(tracebacks(*lines, process="run.1234")) == 1


def test_a_secret_in_a_trace_is_masked() -> None:
    (event,) = tracebacks(
        "Traceback (most recent call last):", '  File "a.py", line 1, in f', "ValueError: password=hunter2"
    )
    assert "hunter2" not in repr(event)


def test_an_app_that_prints_an_event_within_a_trace_keeps_both() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in f',
        "webauthn.x store=redis",
        "ValueError: x",
    ]
    found = events(frame_of(HELLO, *(message("app", "web.1", text) for text in lines)))
    assert [(event.kind, event.place) for event in found] == [("traceback", 1), ("webauthn", 3)]
