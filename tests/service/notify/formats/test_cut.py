import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.notify.formats.cut import cut, cut_lines, units
from service.notify.formats.discord import escape as backslashed
from service.notify.formats.slack import escape as entities

TEXTS = st.text(alphabet=st.sampled_from('a<&>*🙂`\\\n"'), max_size=400)


def test_what_fits_is_left_as_it_is() -> None:
    assert cut("x" * 40, 40) == "x" * 40
    assert cut_lines(["a", "b"], 120) == "a\nb"


def test_what_does_not_fit_says_how_much_more_there_was() -> None:
    assert cut("x" * 1000, 100) == "x" * 60 + "… (940 more characters)"
    assert cut_lines([str(n) for n in range(100)], 120).splitlines()[-1] == "… 70 more lines"


def test_a_long_line_does_not_take_the_place_of_the_others() -> None:
    assert cut_lines(["x" * 5000, "y"], 1000).splitlines()[1] == "y"


def test_an_escape_is_never_cut_in_two() -> None:
    assert cut("&" * 50, 60, entities) == "&amp;" * 4 + "… (46 more characters)"


@given(text=TEXTS, limit=st.integers(40, 300), escape=st.sampled_from([entities, backslashed]))
def test_the_limit_is_kept_by_what_is_sent(text: str, limit: int, escape: object) -> None:
    assert units(cut(text, limit, escape)) <= limit  # type: ignore[arg-type]


@given(lines=st.lists(TEXTS, max_size=30), limit=st.integers(120, 900), escape=st.sampled_from([entities, backslashed]))
def test_the_limit_is_kept_by_lines_together(lines: list[str], limit: int, escape: object) -> None:
    assert units(cut_lines(lines, limit, escape)) <= limit  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "length"), [("", 0), ("aé", 2), ("🙂", 2)])
def test_lengths_are_those_that_javascript_counts(text: str, length: int) -> None:
    assert units(text) == length
