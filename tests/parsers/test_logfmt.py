"""logfmt: pairs among words, quotes that are broken, and time that stays linear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.logfmt import read_pairs, read_values


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("no pairs here", {}),
        ("a=1 b=two", {"a": "1", "b": "two"}),
        ("words before a=1 and b=2 between", {"a": "1", "b": "2"}),
        ('a="two words" b=""', {"a": "two words", "b": ""}),
        ("dyno= connect= status=503", {"dyno": "", "connect": "", "status": "503"}),
        (r'a="say \"hi\" \\ \n" b=1', {"a": 'say "hi" \\ \n', "b": "1"}),
        ('a="not closed b=1', {"a": "not closed b=1"}),
        ('a="ends in a backslash\\', {"a": "ends in a backslash\\"}),
        ("sample#memory_total=221.47MB", {"sample#memory_total": "221.47MB"}),
        ("a=1 a=2", {"a": "2"}),
        ("url=http://x/?a=b&c=d", {"url": "http://x/?a=b&c=d"}),
        ("=1 x=", {"x": ""}),
    ],
)
def test_pairs_are_read_wherever_they_stand(text: str, pairs: dict[str, str]) -> None:
    assert read_pairs(text) == pairs


def test_a_quoted_number_is_told_from_a_bare_one() -> None:
    assert read_values('a="7" b=7') == [("a", "7", True), ("b", "7", False)]


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text()))
def test_what_was_written_as_logfmt_is_read_back(pairs: dict[str, str]) -> None:
    text = " ".join(
        '{}="{}"'.format(key, value.replace("\\", "\\\\").replace('"', '\\"')) for key, value in pairs.items()
    )
    assert read_pairs(text) == pairs


@given(st.text())
def test_no_text_is_too_broken_to_be_read(text: str) -> None:
    read_pairs(text)
