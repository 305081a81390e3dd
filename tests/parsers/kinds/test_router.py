"""Router lines: by key, whatever a client wrote into them and wherever they were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.event import Severity
from parsers.kinds.router import any_pairs, pairs_of, read, read_watched
from parsers.line import Line
from tests.parsers.readings import event_of
from tests.vocabulary import NOON, router_text


def line(text: str) -> Line:
    return Line(NOON, "heroku", "router", text)


PATHS = ["/", "/a b", '/x"y', '/x" host=evil status=500', "/x code=H12 status=503", "/?q=\\", "/é", "", "/a=b&c= d"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_read_as_it_is_printed_up_to_the_last_host(path: str) -> None:
    meaning = read(line(router_text(code="H12", path=path, host="real.example.com")))
    assert meaning is not None
    assert meaning.fields.get("path", "") == path
    assert meaning.fields["host"] == "real.example.com"
    assert meaning.fields["status"] == 503


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_path_can_make_a_good_request_an_error(path: str) -> None:
    assert event_of("heroku", "router", router_text(path=path.replace("\n", " "), status=200)) is None


def test_a_forwarded_address_cannot_give_a_line_a_method_or_a_code() -> None:
    meaning = read(line(router_text(code="H12", method="GET", fwd='1.2.3.4" code=H99 method=PUT x="')))
    assert meaning is not None
    assert (meaning.code, meaning.fields["method"]) == ("H12", "GET")


PIECES = ['"', "=", "\\", " ", "\t", "a", "1", " host=", '" host=', ' path="', "code=H99 "]
WRITTEN = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)


@given(WRITTEN, WRITTEN, WRITTEN, WRITTEN, st.integers(0, 400))
def test_a_usual_line_says_what_it_says_read_by_key(path: str, host: str, fwd: str, desc: str, size: int) -> None:
    text = router_text(code="H12", path=path, host=host, fwd=fwd, desc=desc)
    for some in (text, text[:size], text[size:]):
        assert list(pairs_of(some).items()) == list(any_pairs(some).items())


@given(st.integers(0, 400))
def test_a_line_that_was_cut_is_read_as_far_as_it_goes(size: int) -> None:
    text = router_text(code="H12", path="/poll")[:size]
    meaning = read(line(text))
    assert (meaning is not None) == ("code=H" in text)
    if meaning is not None:
        assert meaning.fields.get("path", "/poll") in ("/poll", *("/poll"[:end] for end in range(6)))


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_keys_does_not_matter(order: int) -> None:
    pairs = [
        "at=error",
        "code=H12",
        'desc="Request timeout"',
        "method=GET",
        "dyno=web.1",
        "service=30001ms",
        "status=503",
        "new=x",
    ]
    meaning = read(line(" ".join(pairs[::order])))
    assert meaning is not None
    assert meaning.code == "H12"
    assert meaning.fields == {
        "at": "error",
        "desc": "Request timeout",
        "method": "GET",
        "service_ms": 30001,
        "status": 503,
        "new": "x",
    }


def test_an_empty_value_is_left_out() -> None:
    meaning = read(line(router_text(code="H10")))
    assert meaning is not None
    assert meaning.dyno is None
    assert "connect_ms" not in meaning.fields


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_a_request_that_an_app_answered_with_5xx_is_a_failure(status: int) -> None:
    event = event_of("heroku", "router", router_text(status=status))
    assert event is not None
    assert (event.kind, event.severity, event.code, event.dyno) == ("router_failure", Severity.ERROR, None, "web.1")


@pytest.mark.parametrize("status", [200, 301, 404, 499, 5, 50, 5000])
def test_any_other_request_is_none(status: int) -> None:
    assert event_of("heroku", "router", router_text(status=status)) is None


@pytest.mark.parametrize(
    ("path", "status", "severity"),
    [("/health", 200, "info"), ("/health?x=1", 302, "info"), ("/health", 404, "warning"), ("/health", None, "info")],
)
def test_a_watched_path_gives_an_event_however_it_went(path: str, status: int | None, severity: str) -> None:
    meaning = read_watched(line(router_text(path=path, status=status)), {"/health"})
    assert meaning is not None
    assert (meaning.kind, meaning.severity.label) == ("router_failure", severity)


@pytest.mark.parametrize("path", ["/healthy", "/x/health", "/", "/x?/health"])
def test_a_path_that_only_holds_a_watched_one_is_not_watched(path: str) -> None:
    assert read_watched(line(router_text(path=path)), {"/health"}) is None


@given(st.text() | st.text(alphabet='pathosdecr=" \\?&:0159'))
def test_no_text_is_too_broken_to_be_read(text: str) -> None:
    read(line(text))
    read_watched(line(text), {"/"})
