"""Every line in samples/lines gives the event that is written below it.

    source[process] text
        {"code": …, "severity": …, "dyno": …, "fields": {…}}

The file is named after the kind. `fields` are all that the event has, `with` some of them; null says that the line is no
event. `#` begins a comment, `    ` goes on with the line above.
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.parsers.readings import ROOT, event_of

LINES = ROOT / "samples" / "lines"


def samples() -> Iterator[tuple[str, str, str]]:
    """The kind, the line, and the JSON below it."""
    for path in sorted(LINES.glob("*.txt")):
        text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#"))
        for line, expected in re.findall(r"^(\S.*)\n((?: {4}.*\n)+)", text, re.MULTILINE):
            yield path.stem, line, expected


@pytest.mark.parametrize(("kind", "line", "expected"), list(samples()))
def test_a_line_as_heroku_writes_it_gives_the_event_below_it(kind: str, line: str, expected: str) -> None:
    source, process, text = re.fullmatch(r"(\S+)\[(\S+)\] (.*)", line).groups()
    event = event_of(source, process, text)
    wanted = json.loads(expected)
    if wanted is None:
        assert event is None
        return
    assert event is not None
    assert event.kind == kind
    if some := wanted.pop("with", None):
        assert {name: event.fields.get(name) for name in some} == some
    if "fields" in wanted:
        assert dict(event.fields) == wanted.pop("fields")
    seen = {"code": event.code, "severity": event.severity.label, "dyno": event.dyno, "flags": list(event.flags)}
    assert {name: seen[name] for name in wanted} == wanted


def test_every_kind_that_lines_have_is_sampled() -> None:
    kinds = {
        "router_error",
        "router_failure",
        "dyno_error",
        "dyno_state",
        "logplex_error",
        "release",
        "runtime_metrics",
        "postgres_log",
        "webauthn",
        "promotion",
    }
    assert {path.stem for path in LINES.glob("*.txt")} == kinds
    assert {kind for kind, _, expected in samples() if expected.strip() != "null"} == kinds
