"""docs/filters.md says what is so."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from parsers.filters import FilterError, parse_filter, predicate
from parsers.frame import Reading, read_frame
from parsers.line import Origin
from vocabulary import NOON, frame_of, message

TEXT = (Path(__file__).parent.parent / "docs" / "filters.md").read_text()
EXAMPLES = TEXT[TEXT.index("## Examples") : TEXT.index("## Incidents")]


def examples() -> Iterator[tuple[str, str]]:
    yield from re.findall(r"^\| `(.+?)` \| (.+?) \|$", EXAMPLES, re.MULTILINE)


def answer_of(filter_text: str) -> str:
    line = re.search(r"```\n(.+)\n```", EXAMPLES)
    assert line is not None
    sent = frame_of(message("heroku", "router", line[1], NOON))
    (event,) = read_frame(sent, Origin("raxx-api-prod", "production"), NOON, Reading()).events
    try:
        return "holds" if predicate(parse_filter(filter_text))(event) else "does not"
    except FilterError as error:
        return f"is wrong at column {error.column}"


@pytest.mark.parametrize(("filter_text", "answer"), list(examples()))
def test_an_example_of_the_filter_language_does_what_it_says(filter_text: str, answer: str) -> None:
    assert answer_of(filter_text) == answer


def test_there_are_examples_of_holding_of_not_holding_and_of_every_sort_of_error() -> None:
    assert len(list(examples())) > 25
