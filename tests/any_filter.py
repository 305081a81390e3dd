"""The words for any filter and any event: few names and few letters, so that the two meet."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from parsers.event import Event, Severity
from parsers.filters import Node
from parsers.filters.tree import And, Compare, Equals, Everything, Glob, Has, Not, Or, Text, TextGlob, is_pattern

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)

texts = st.text('aAbB.*?"\\ :-(1ü', min_size=0, max_size=4)
# Postgres keeps no NUL.
storable = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
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
    message=texts | storable,
    fields=st.dictionaries(field_names, values, max_size=4),
    flags=st.lists(words, max_size=2).map(tuple),
)

patterns = st.text("aAb*?1.ü", min_size=1, max_size=4).filter(lambda word: is_pattern(word) and word.strip("*") != "")
operators = st.sampled_from(["<", "<=", ">=", ">"])
decimals = st.sampled_from([Decimal("0"), Decimal("503"), Decimal("-5"), Decimal("0.5"), Decimal("0.1")])


def _more(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return inner.map(Not) | some.map(And) | some.map(Or)


def trees_of(names: st.SearchStrategy[str], words: st.SearchStrategy[str] = words) -> st.SearchStrategy[Node]:
    """Any filter over those names and words."""
    leaves = st.one_of(
        st.just(Everything()),
        words.filter(bool).map(Text),
        patterns.filter(lambda word: word.strip("*") == word).map(TextGlob),
        st.builds(Equals, names, words),
        st.builds(Glob, names, patterns),
        st.builds(Has, names | st.sampled_from(["ts", "severity"])),
        st.builds(Compare, names, operators, decimals),
        st.builds(Compare, st.just("severity"), operators | st.just("="), severities),
        st.builds(Compare, st.sampled_from(["ts", "received_at"]), operators | st.just("="), times),
    )
    return st.recursive(leaves, _more, max_leaves=6)


trees = trees_of(own_names | field_names)
