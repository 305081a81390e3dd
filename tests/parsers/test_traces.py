"""Traces over frames: any split of an app's lines gives the same ones; each is bounded, and costs other dynos nothing."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers.event import Event
from parsers.frame import Unfinished
from parsers.multiline import FURTHER, GAP, MOST_LINES, NEAR
from tests.parsers.frames import told
from tests.parsers.readings import frame
from tests.parsers.test_stack_traces import TRACES, sample
from tests.vocabulary import NOON, frame_of, message, router_line, seconds_after

NOISE = [
    "hello",
    "",
    "    indented",
    "Error: alone",
    "panic: alone",
    "KeyError",
    "\tat x.Y.z(Y.java:1)",
    "INFO: ready",
    "During handling of the above exception, another exception occurred:",
    "Traceback (most recent call last):",
    "/app/x.rb:5:in `pay': no (RuntimeError)",
    "Caused by: a.b.CException: x",
]


def traces(frames: Sequence[Sequence[bytes]]) -> list[Event]:
    """The traces that frames tell, one after the other."""
    return [event for event in told(frames) if event.kind == "traceback"]


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Some dynos' traces, shuffled into one another with what else an app prints."""
    queues = []
    for dyno in range(draw(st.integers(1, 3))):
        lines: list[str] = []
        for path in draw(st.lists(st.sampled_from(TRACES), min_size=1, max_size=2)):
            lines += [*draw(st.lists(st.sampled_from(NOISE), max_size=3)), *sample(path)[0]]
        for place in draw(st.lists(st.integers(0, len(lines)), max_size=3)):
            lines.insert(place, draw(st.sampled_from(NOISE)))
        queues.append([message("app", f"web.{dyno}", line, NOON) for line in lines])
    queues.append([router_line()] * draw(st.integers(0, 40)))
    chance = draw(st.randoms(use_true_random=False))
    mixed = []
    while queues := [queue for queue in queues if queue]:
        queue = chance.choice(queues)
        run = chance.choice((1, 2, 20))
        mixed += queue[:run]
        del queue[:run]
    return mixed


@settings(max_examples=80)
@given(streams(), st.data())
def test_any_split_into_frames_gives_the_same_traces(messages: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(messages) - 1)), max_size=12)))
    frames = [messages[begin:end] for begin, end in pairwise([0, *cuts, len(messages)])]
    assert traces(frames) == traces([messages])


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_trace_told_line_by_line_is_the_same(path: Path) -> None:
    messages = [message("app", "web.1", line) for line in sample(path)[0]]
    assert len(traces([messages])) == 1
    assert traces([[one] for one in messages]) == traces([messages])


def test_traces_of_dynos_that_speak_in_turns_do_not_mix() -> None:
    paths = [path for path in TRACES if path.stem in ("python_chained", "java", "go")]
    queues = [[message("app", f"web.{n}", line) for line in sample(path)[0]] for n, path in enumerate(paths)]
    longest = max(map(len, queues))
    mixed = [queue[n] for n in range(longest) for queue in queues if n < len(queue)]
    found = [event for event in frame(frame_of(*mixed)).events if event.kind == "traceback"]
    assert {event.dyno: event.fields for event in found} == {
        f"web.{n}": {name: value for name, value in sample(path)[1].items() if name != "line"}
        for n, path in enumerate(paths)
    }


HEAD = message("app", "web.1", "TypeError: x")
CALL = message("app", "web.1", "    at run (/app/x.js:1:2)")


def test_a_frame_that_ends_within_a_trace_tells_it_as_far_as_it_goes_and_leaves_it_open() -> None:
    read = frame(frame_of(router_line(), HEAD, CALL))
    (event,) = read.events
    assert read.unfinished
    (left,) = read.unfinished.traces
    assert (event.kind, event.place, left.place, left.phase, left.passed) == ("traceback", 1, 1, "printed", 2)
    then = frame(frame_of(CALL), before=Unfinished((left,)))
    assert then.continued
    assert then.continued.traces == (
        replace(event, fields={**event.fields, "frames": ["/app/x.js:1:2 in run"] * 2, "lines": 3}),
    )
    assert then.events == ()


def test_a_trace_of_which_only_the_goroutine_came_goes_on_however_many_lines_of_others_stand_behind_it() -> None:
    begin = [message("app", "web.1", text) for text in ("panic: no", "", "goroutine 1 [running]:")]
    rest = [message("app", "web.1", text) for text in ("main.main()", "\t/app/main.go:8 +0x25")]
    frames = [[*begin, *[router_line()] * (NEAR + 1)], rest]
    assert [event.fields["frames"] for event in traces(frames)] == [["/app/main.go:8 in main.main"]]
    assert traces(frames) == traces([[one for frame in frames for one in frame]])


def test_a_line_that_may_begin_a_trace_is_no_event_but_is_left_open() -> None:
    read = frame(frame_of(HEAD))
    assert read.events == ()
    assert read.unfinished
    assert [trace.phase for trace in read.unfinished.traces] == ["printed?"]
    assert [event.fields["exception"] for event in traces([[HEAD], [CALL]])] == ["TypeError"]
    assert traces([[HEAD], [message("app", "web.1", "x")]]) == []


def test_a_dyno_that_does_not_speak_keeps_its_trace_open() -> None:
    read = frame(frame_of(HEAD, CALL))
    assert read.unfinished
    then = frame(frame_of(router_line()), before=read.unfinished)
    assert then.continued
    assert [trace and trace.passed for trace in then.continued.open_traces] == [3]


@pytest.mark.parametrize(("between", "found"), [(NEAR - 1, 1), (NEAR, 0)])
def test_a_head_counts_while_its_first_call_is_near(between: int, found: int) -> None:
    assert len(traces([[HEAD, *[router_line()] * between, CALL]])) == found


@pytest.mark.parametrize(("after", "lines"), [(GAP.total_seconds(), 3), (GAP.total_seconds() + 0.1, 2)])
def test_a_trace_ends_where_its_dyno_was_silent_for_too_long(after: float, lines: int) -> None:
    late = message("app", "web.1", "    at main (/app/x.js:9:1)", seconds_after(NOON, after))
    (found,) = frame(frame_of(HEAD, CALL, late)).events
    assert found.fields["lines"] == lines


@pytest.mark.parametrize(("between", "lines"), [(FURTHER, FURTHER + 3), (FURTHER + 1, 2)])
def test_a_trace_ends_behind_too_many_lines_that_are_none_of_it(between: int, lines: int) -> None:
    (found,) = frame(frame_of(HEAD, CALL, *[message("app", "web.1", "hello")] * between, CALL)).events
    assert found.fields["lines"] == lines


def test_a_trace_that_never_ends_is_ended() -> None:
    (found,) = frame(frame_of(HEAD, *[CALL] * (2 * MOST_LINES))).events
    assert found.fields["lines"] == MOST_LINES
    long = message("app", "web.1", "    at " + "x" * 9_000 + " (/app/x.js:1:2)")
    (found,) = frame(frame_of(HEAD, *[long] * 100)).events
    assert found.fields["lines"] == 8


def test_a_frame_without_a_trace_leaves_none_open() -> None:
    assert frame(frame_of(message("app", "web.1", "all is well"), router_line(code="H12"))).unfinished is None
