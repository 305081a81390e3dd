"""App lines: three ways of writing one event, and what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.app_line import AppLine, read_app_line
from parsers.event import Severity

STORED = AppLine(
    "webauthn.challenge_stored", Severity.INFO, {"store": "redis", "user_id": 7, "challenge_hash": "3fa94c1b"}
)
REST = "store=redis user_id=7 challenge_hash=3fa94c1b"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "INFO raptor.webauthn: ",
        "INFO ",
        "INFO: ",
        "INFO:raptor.webauthn:",
        "[INFO] raptor.webauthn: ",
        "[info     ] ",
        "raptor.webauthn: ",
        "INFO raptor.webauthn - ",
        "2026-05-11 12:00:00,123 INFO raptor.webauthn: ",
        "2026-05-11T12:00:00.123Z [info] ",
        "[2026-05-11 12:00:00 +0000] [12] [INFO] ",
        "2026-05-11 12:00:00,123 - raptor.webauthn - ",
        "2026-05-11 12:00:00,123 - raptor.webauthn - INFO - ",
        "- INFO raptor.webauthn: ",
        "\x1b[32mINFO\x1b[0m raptor.webauthn: ",
        "level=info event=",
        "level=info msg=",
        "at=info event=",
        "stored event=",
    ],
)
def test_whatever_stands_before_the_name_it_is_the_same_event(before: str) -> None:
    line = read_app_line(f"{before}webauthn.challenge_stored {REST}")
    assert line is not None
    assert (line.name, line.severity) == (STORED.name, STORED.severity)
    assert {name: value for name, value in line.fields.items() if name != "at"} == STORED.fields


@pytest.mark.parametrize(
    "said",
    [
        {
            "level": "info",
            "event": "webauthn.challenge_stored",
            "store": "redis",
            "user_id": 7,
            "challenge_hash": "3fa94c1b",
        },
        {
            "msg": "webauthn.challenge_stored",
            "severity": "INFO",
            "store": "redis",
            "user_id": 7,
            "challenge_hash": "3fa94c1b",
        },
        {"message": "webauthn.challenge_stored store=redis user_id=7", "challenge_hash": "3fa94c1b"},
        {"levelname": "INFO", "message": f"INFO raptor.webauthn: webauthn.challenge_stored {REST}"},
    ],
)
def test_json_says_the_same(said: dict[str, object]) -> None:
    assert read_app_line(json.dumps(said)) == STORED


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("shop.paid", Severity.INFO),
        ("DEBUG shop: shop.paid", Severity.DEBUG),
        ("warn shop.paid", Severity.WARNING),
        ("ERROR:shop:shop.paid", Severity.ERROR),
        ("CRITICAL shop: shop.paid", Severity.CRITICAL),
        ("level=fatal event=shop.paid", Severity.CRITICAL),
        ('{"event": "shop.paid", "level": "error"}', Severity.ERROR),
        ('{"event": "shop.paid", "level": 30}', Severity.INFO),
    ],
)
def test_the_level_word_is_the_severity(text: str, severity: Severity) -> None:
    line = read_app_line(text)
    assert line is not None
    assert (line.name, line.severity) == ("shop.paid", severity)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("e a=7 b=0.5 c=007 d=x e=", {"a": 7, "b": 0.5, "c": "007", "d": "x", "e": ""}),
        ('e a="7" b="two words" c=true d=false', {"a": "7", "b": "two words", "c": True, "d": False}),
        ('{"event": "e", "a": {"b": {"c": 1}}, "d": ["x", 2], "n": null}', {"a.b.c": 1, "d": ["x", "2"], "n": None}),
        (
            '{"event": "e", "a": 1e999, "b": NaN, "c": 123456789012345678901234567890}',
            {"a": "inf", "b": "nan", "c": "123456789012345678901234567890"},
        ),
        (
            r'{"event": "e", "a": "\u0000", "b": "\ud800", "c": "\ud83d\ude00"}',
            {"a": "\ufffd", "b": "\ufffd", "c": "😀"},
        ),
    ],
)
def test_values_have_types_that_json_and_postgres_can_hold(text: str, fields: dict[str, object]) -> None:
    line = read_app_line(text)
    assert line is not None
    assert line.fields == fields
    json.dumps(dict(line.fields), allow_nan=False).encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"a": 1}',
        '{"event": 5}',
        "a=1 b=2",
        "{" * 100_000,
        '{"a":' * 100_000,
        "42",
    ],
)
def test_what_names_no_event_is_none(text: str) -> None:
    assert read_app_line(text) is None


def test_an_object_within_an_object_is_read_once() -> None:
    text = json.dumps({"msg": json.dumps({"msg": "shop.paid"})})
    assert read_app_line(text) is None


@given(st.text() | st.text(alphabet='[]{}":=, \\\x1b[0m-INFOabc.'))
def test_no_text_is_too_broken_to_be_read(text: str) -> None:
    read_app_line(text)
