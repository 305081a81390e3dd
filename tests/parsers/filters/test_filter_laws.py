"""What holds for any tree and any event."""

from hypothesis import given
from hypothesis import strategies as st

from any_filter import NOON, events, trees
from parsers.event import Event, Severity
from parsers.filters import FilterError, Node, parse_filter, predicate, quoted, render
from parsers.filters.tree import And, Glob, Not, Or, Text, is_pattern


@given(trees, events)
def test_a_negation_is_the_complement(tree: Node, event: Event) -> None:
    assert predicate(Not(tree))(event) is not predicate(tree)(event)


@given(trees, trees, events)
def test_de_morgan(a: Node, b: Node, event: Event) -> None:
    assert predicate(Not(And((a, b))))(event) is predicate(Or((Not(a), Not(b))))(event)
    assert predicate(Not(Or((a, b))))(event) is predicate(And((Not(a), Not(b))))(event)


@given(trees)
def test_a_tree_rendered_and_read_again_is_the_same_tree(tree: Node) -> None:
    assert parse_filter(render(tree)) == tree


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_quoted_text_is_read_as_itself(text: str) -> None:
    assert parse_filter(quoted(text)) == Text(text)


@given(st.text(max_size=12), st.text("ab", max_size=3))
def test_a_text_is_found_wherever_it_stands(text: str, around: str) -> None:
    event = Event(NOON, NOON, "", "", "", "", None, "", None, Severity.INFO, around + text + around)
    assert not text or predicate(Text(text))(event)


@given(st.text("aA*?b", max_size=6), st.text("aAb", max_size=6))
def test_a_glob_fits_what_its_definition_says(pattern: str, text: str) -> None:
    if is_pattern(pattern) and pattern.strip("*"):
        event = Event(NOON, NOON, "", "", "", "", None, "", None, Severity.INFO, text)
        assert predicate(Glob("message", pattern))(event) is _fits(pattern, text)


def _fits(pattern: str, text: str) -> bool:
    """The definition, written down: slow and plain."""
    if not pattern or not text:
        return not text and not pattern.strip("*")
    if pattern[0] == "*":
        return _fits(pattern[1:], text) or _fits(pattern, text[1:])
    return pattern[0] in ("?", text[0]) and _fits(pattern[1:], text[1:])


tokens = st.sampled_from(
    ["a", "(", ")", '"', "\\", "-", "NOT", "OR", ":", ">", "=", "*", "?", " ", "code", "ts", "severity", "5", "ü", "\n"]
)


@given(st.lists(tokens, max_size=30).map("".join))
def test_any_text_is_a_filter_or_an_error_with_a_column_in_it(text: str) -> None:
    read = _read(text)
    if isinstance(read, FilterError):
        assert 1 <= read.column <= len(text) + 1
        assert read.expected in str(read)
        assert "\n" not in str(read)
    else:
        assert parse_filter(render(read)) == read


def _read(text: str) -> Node | FilterError:
    try:
        return parse_filter(text)
    except FilterError as error:
        return error
