"""What holds for any tree and any event."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from parsers.event import Event, Severity
from parsers.filters import FilterError, Node, parse_filter, predicate, quoted, render
from parsers.filters.tree import And, Compare, Equals, Everything, Glob, Has, Not, Or, Text, TextGlob, is_pattern

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)

# Few names and few letters, so that values and filters meet.
texts = st.text('aAbB.*?"\\ :-(1ü', min_size=0, max_size=4)
words = st.sampled_from(["", "a", "ab", "web.1", "503", "0503", "0.5", "true", "H12", 'a"b', "a\\", "-a", "OR"]) | texts
times = st.integers(-3, 3).map(lambda n: NOON + timedelta(microseconds=n * 500_000))
numbers = st.sampled_from([0, 1, 503, -5, 0.5, 1e16, 0.1, 10**25])
values = st.none() | st.booleans() | numbers | words | st.lists(words, max_size=2)
severities = st.sampled_from(Severity)

text_names = st.sampled_from(["app", "dyno", "code", "message", "process_type"])
field_names = st.sampled_from(["status", "path", "unknown", "OR", "x.y-z"])
own_names = text_names | st.just("flags")

events = st.builds(
    Event,
    ts=times,
    received_at=times,
    app=words,
    environment=words,
    source=words,
    process=words,
    dyno=st.none() | st.just("web.1") | words,
    kind=words,
    code=st.none() | words,
    severity=severities,
    message=texts | st.text(max_size=5),
    fields=st.dictionaries(field_names, values, max_size=4),
    flags=st.lists(words, max_size=2).map(tuple),
)

patterns = st.text("aAb*?1.ü", min_size=1, max_size=4).filter(lambda word: is_pattern(word) and word.strip("*") != "")
operators = st.sampled_from(["<", "<=", ">=", ">"])
decimals = st.sampled_from([Decimal("0"), Decimal("503"), Decimal("-5"), Decimal("0.5"), Decimal("0.1")])
leaves = st.one_of(
    st.just(Everything()),
    words.filter(bool).map(Text),
    patterns.filter(lambda word: word.strip("*") == word).map(TextGlob),
    st.builds(Equals, own_names | field_names, words),
    st.builds(Glob, own_names | field_names, patterns),
    st.builds(Has, own_names | field_names | st.sampled_from(["ts", "severity"])),
    st.builds(Compare, own_names | field_names, operators, decimals),
    st.builds(Compare, st.just("severity"), operators | st.just("="), severities),
    st.builds(Compare, st.sampled_from(["ts", "received_at"]), operators | st.just("="), times),
)


def _more(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return inner.map(Not) | some.map(And) | some.map(Or)


trees: st.SearchStrategy[Node] = st.recursive(leaves, _more, max_leaves=6)


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
