"""The filter language, text → tree: what each form means, and what each mistake is answered with."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from parsers.event import Severity
from parsers.filters import FilterError, Node, parse_filter
from parsers.filters.tree import And, Compare, Equals, Everything, Glob, Has, Not, Or, Text, TextGlob

A, B, C = Text("a"), Text("b"), Text("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", Everything()),
        (" \t\n", Everything()),
        ("*", Everything()),
        ('""', Everything()),
        ("timeout", Text("timeout")),
        ("raxx-api", Text("raxx-api")),
        ("code=H12", Text("code=H12")),
        ("12:30", Text("12:30")),
        ("/api/x:y", Text("/api/x:y")),
        ("or", Text("or")),
        ("NOTE", Text("NOTE")),
        ('"OR"', Text("OR")),
        ('"NOT"', Text("NOT")),
        ('"AND"', Text("AND")),
        ('"-a"', Text("-a")),
        ('"words in the message"', Text("words in the message")),
        ('"a*b?"', Text("a*b?")),
        ('"a\tb"', Text("a\tb")),
        (r'"say \"no\" to C:\temp\\"', Text('say "no" to C:\\temp\\')),
        ("timeo*t", TextGlob("timeo*t")),
        ("*timeout*", Text("timeout")),
        ("**time?ut", TextGlob("time?ut")),
        ("code:H12", Equals("code", "H12")),
        ('path:"/api/x"', Equals("path", "/api/x")),
        ("path:/api/system/status", Equals("path", "/api/system/status")),
        ("path:/a:b<c=d", Equals("path", "/a:b<c=d")),
        ("delta:-5", Equals("delta", "-5")),
        ('reason:"FAILED:"', Equals("reason", "FAILED:")),
        ('reason:""', Equals("reason", "")),
        ('app:"raxx-*"', Equals("app", "raxx-*")),
        ("dyno:web.1", Equals("dyno", "web.1")),
        ("sample#memory_total:512.00MB", Equals("sample#memory_total", "512.00MB")),
        ("app:raxx-*", Glob("app", "raxx-*")),
        ("name:console.flag.promotion.*", Glob("name", "console.flag.promotion.*")),
        ("code:H?", Glob("code", "H?")),
        ("code:*", Has("code")),
        ("code:**", Has("code")),
        ('code:"*"', Equals("code", "*")),
        ("OR:5", Equals("OR", "5")),
        ("status>=500", Compare("status", ">=", Decimal(500))),
        ("load<0.25", Compare("load", "<", Decimal("0.25"))),
        ("delta>-5", Compare("delta", ">", Decimal(-5))),
        ("n<=1", Compare("n", "<=", Decimal(1))),
        ("severity:error", Compare("severity", "=", Severity.ERROR)),
        ("severity>=Warning", Compare("severity", ">=", Severity.WARNING)),
        ("severity:*", Has("severity")),
        ('ts>"2026-05-11T14:00:00.5+02:00"', Compare("ts", ">", datetime(2026, 5, 11, 12, 0, 0, 500000, tzinfo=UTC))),
        ('received_at:"2026-05-11t12:00:00z"', Compare("received_at", "=", datetime(2026, 5, 11, 12, tzinfo=UTC))),
        ("-dyno:web.2", Not(Equals("dyno", "web.2"))),
        ("NOT a", Not(A)),
        ("NOT(a)", Not(A)),
        ('NOT"a"', Not(A)),
        ("--a", A),
        ("NOT -a", A),
        ("---a", Not(A)),
        ("-(-a)", Not(Not(A))),
        ("a b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("(a)", A),
        ("((a) ( b))", And((A, B))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("(a OR b)(b OR c)", And((Or((A, B)), Or((B, C))))),
        ("NOT a b", And((Not(A), B))),
        ("-a OR b", Or((Not(A), B))),
        ("-(a OR b)", Not(Or((A, B)))),
        ("a (b c)", And((A, And((B, C))))),
        ("a\u00a0b", And((A, B))),
    ],
)
def test_a_filter_says(text: str, tree: Node) -> None:
    assert parse_filter(text) == tree


A_TERM = "a term such as code:H12, service_ms>5000 or a word"
A_VALUE = "a value right after the name, or all of the text in quotes"
A_NUMBER = "a number such as 5000 or 0.5, without a unit"
A_TIME = 'a time such as "2026-05-11T12:00:00Z", in quotes'
A_SEVERITY = "a severity: debug, info, warning, error, critical"
A_SPACE = "a space, or all of the text in quotes"


@pytest.mark.parametrize(
    ("text", "column", "expected", "found"),
    [
        ("(a", 3, '")" for the "(" at column 1', "the end"),
        ("a (b (c)", 9, '")" for the "(" at column 3', "the end"),
        ("a)", 2, "a term or the end, for no parenthesis is open", "')'"),
        ('a "b', 5, "a closing quote for the one at column 3", "the end"),
        ('a "b\\"', 7, "a closing quote for the one at column 3", "the end"),
        ("()", 2, A_TERM, "')'"),
        ("a OR", 5, A_TERM, "the end"),
        ("OR a", 1, A_TERM, "'OR'"),
        ("a OR OR b", 6, A_TERM, "'OR'"),
        ("(a OR )", 7, A_TERM, "')'"),
        ("a NOT", 6, A_TERM, "the end"),
        ("-()", 3, A_TERM, "')'"),
        ("- a", 1, 'a term right after "-", or the text in quotes', "'-'"),
        ("a - b", 3, 'a term right after "-", or the text in quotes', "'-'"),
        ("a AND b", 3, 'a space, which is AND; the word itself is written "AND", in quotes', "'AND'"),
        ("code:", 6, A_VALUE, "the end"),
        ("code: H12", 6, A_VALUE, "a space"),
        ("FAILED: no", 8, A_VALUE, "a space"),
        ("code:(H12 OR H13)", 6, A_VALUE, "'('"),
        ("a :H12", 3, 'a name right before ":", or the text in quotes', "':H12'"),
        ("service_ms > 5", 12, 'a name right before ">", or the text in quotes', "'>'"),
        ("status:>500", 8, "a value, in quotes if it begins so; a comparison is written status>5", "'>500'"),
        ("service_ms>5s", 12, A_NUMBER, "'5s'"),
        ("service_ms>1e9", 12, A_NUMBER, "'1e9'"),
        ('service_ms>"5"', 12, A_NUMBER, "'\"5\"'"),
        ("n>" + "9" * 31, 3, A_NUMBER, "'" + "9" * 31 + "'"),
        ("severity>=bad", 11, A_SEVERITY, "'bad'"),
        ("a severity:err*", 12, A_SEVERITY, "'err*'"),
        ("severity>3", 10, A_SEVERITY, "'3'"),
        ("ts>yesterday", 4, A_TIME, "'yesterday'"),
        ('ts>"2026-02-30T12:00:00Z"', 4, A_TIME, "'\"2026-02-30T12:00:00Z\"'"),
        ('ts>"2026-05-11T12:00:00"', 4, A_TIME, "'\"2026-05-11T12:00:00\"'"),
        ('ts<"0001-01-01T00:00:00+09:00"', 4, A_TIME, "'\"0001-01-01T00:00:00+09:00\"'"),
        ('path:/a"b"', 8, A_SPACE, "'\"b\"'"),
        ('code:"H1"2', 10, A_SPACE, "'2'"),
        ("a(b)", 2, A_SPACE, "'('"),
        ("a\0", 2, "text that can be stored", "'\\x00'"),
        ("(" * 33 + "a" + ")" * 33, 33, "at most 32 parentheses in each other", "'('"),
        ("a " * 257, 513, "at most 256 words, values and parentheses", "'a'"),
    ],
)
def test_a_wrong_filter_says_where_it_is_wrong_and_what_was_expected(
    text: str, column: int, expected: str, found: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert (caught.value.column, caught.value.expected) == (column, expected)
    assert str(caught.value) == f"The filter is wrong at column {column}: expected {expected}, found {found}."


def test_a_filter_that_is_too_long_says_how_long_it_may_be() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter("a" * 8193)
    assert str(caught.value) == "The filter has 8193 characters; expected at most 8192 characters."


def test_a_list_of_256_ids_is_a_filter() -> None:
    ids = [f"id:{number}" for number in range(256)]
    assert parse_filter(" OR ".join(ids)) == Or(tuple(Equals("id", str(number)) for number in range(256)))


HOSTILE = {
    "nested as deep as may be": "(" * 32 + "a" + ")" * 32,
    "nested with arms": "-(a OR -" * 32 + "a" + ")" * 32,
    "nested deeper, for as long as may be": "(" * 8192,
    "as many terms as may be": " OR ".join(["severity>=error"] * 256),
    "parentheses side by side": "(a)" * 128,
    "negated as often as may be": "-" * 8191 + "a",
    "NOT and nothing else": "NOT " * 2048,
    "OR and nothing else": "OR " * 2730,
    "closed and never opened": ")" * 8192,
    "quotes of backslashes that never close": '"' + "\\" * 8191,
    "many quotes": '"" ' * 2730,
    "stars": "a*" * 4096,
    "a name that never ends": "a" * 8191 + ":",
    "spaces": " " * 8191 + "a",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_reading_a_hostile_filter_does_not_blow_up(text: str) -> None:
    # A guard, not a measurement: these take 25 ms at the most; one that backtracks would take minutes.
    begun = time.process_time()
    with suppress(FilterError):
        parse_filter(text)
    assert time.process_time() - begun < 5
