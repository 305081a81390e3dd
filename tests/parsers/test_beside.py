"""What stands beside an event is found wherever a frame ends."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.parsers.frames import told
from tests.vocabulary import message, router_line

LINES = [
    message("heroku", "web.1", "Process running mem=870M(170.1%)"),
    router_line(),
    message("heroku", "web.2", "Process running mem=600M(117.2%)"),
    message("heroku", "web.1", "Error R14 (Memory quota exceeded)"),
    message("app", "api", "Starting process with command `/bin/sh -c 'if true"),
    router_line(code="H12"),
    message("app", "api", "then run"),
    message("heroku", "web.2", "Error R14 (Memory quota exceeded)"),
    message("app", "api", "fi'` by user user@example.com"),
    message("app", "api", "then nothing"),
]


@given(st.sets(st.integers(1, len(LINES) - 1)))
def test_any_split_into_frames_gives_the_same_events(cuts: set[int]) -> None:
    frames = [LINES[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(LINES)])]
    assert told(frames) == told([LINES])


def test_an_r14_has_the_memory_of_its_dyno_and_a_command_all_of_its_lines() -> None:
    events = told([[line] for line in LINES])
    assert [event.fields["mem_mb"] for event in events if event.code == "R14"] == [870.0, 600.0]
    (command,) = (event for event in events if event.kind == "release")
    assert command.fields["command"] == "/bin/sh -c 'if true\nthen run\nfi'"
    assert command.fields["actor"] == "user@example.com"
