"""What must occur in a line for it to be in a filter."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_filter import trees
from parsers.filters import Node, parse_filter, predicate
from parsers.filters.literals import must_occur
from parsers.line import Line, Origin
from parsers.line_event import is_read_for, line_event
from vocabulary import NOON, router_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Needle", [[b"needle"]]),
        ('"a needle" code:H12', [[b"a needle"], [b"h12"]]),
        ("-needle", []),
        ("needle OR code:H12", [[b"needle", b"h12"]]),
        ("needle OR -code:H12", []),
        ("a (bb OR (ccc dd))", [[b"bb", b"ccc"], [b"a"]]),
        ("ÄB*c?de", [["Äb".encode()], [b"de"], [b"c"]]),
        ("dyno:web.* process_type:web", [[b"web."], [b"web"]]),
        ("request_id:9f86-D081 path:/api/* status:503 action:deploy", [[b"9f86-d081"]]),
        ("app:shop severity>=error status>5 id:a", []),
        ("\ufffdabc\ufffd", [[b"abc"]]),
    ],
)
def test_what_must_occur(text: str, expected: Sequence[Sequence[bytes]]) -> None:
    assert [list(one) for one in must_occur(parse_filter(text))] == expected


said = st.sampled_from(
    ["aB", "web.1", "a*b", "H12", "x=503", 'y="a b"', "Error R14 (Memory quota exceeded)", router_text(), "ü"]
)
texts = st.lists(said | st.text(max_size=4), max_size=3).map(" ".join)
lines = st.builds(
    Line, st.just(NOON), st.sampled_from(["app", "heroku"]), st.sampled_from(["web.1", "router", "api"]), texts
)


@given(trees, lines)
def test_whatever_is_in_a_filter_has_what_must_occur(tree: Node, line: Line) -> None:
    event = line_event(line, Origin("a", "ab"), received_at=NOON)
    sent = f"<1>1 - host {line.source} {line.process} - {line.text}".encode().lower()

    if predicate(tree)(event):
        assert all(any(one in sent for one in alternatives) for alternatives in must_occur(tree))


@given(trees, lines)
def test_a_line_that_need_not_be_read_is_in_a_filter_all_the_same(tree: Node, line: Line) -> None:
    if not is_read_for(tree):
        whole, header = (line_event(line, Origin("a", "ab"), received_at=NOON, read=read) for read in (True, False))
        assert predicate(tree)(whole) is predicate(tree)(header)
