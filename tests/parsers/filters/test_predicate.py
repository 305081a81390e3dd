"""Which events are in a filter."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from costs import times_as_much
from parsers.event import Event, Severity
from parsers.filters import parse_filter, predicate
from parsers.filters.tree import COLUMNS

EVENT = Event(
    id=UUID("0196bf00-0000-7000-8000-00000000000a"),
    ts=datetime(2026, 5, 11, 12, 0, 0, 123456, tzinfo=UTC),
    received_at=datetime(2026, 5, 11, 12, 0, 1, tzinfo=UTC),
    app="raxx-api-prod",
    environment="production",
    source="heroku",
    process="router",
    dyno="web.1",
    kind="router_error",
    code="H12",
    severity=Severity.ERROR,
    message='at=error code=H12 desc="Request timeout" path="/api/x"\nMÜLLER * 100%_\\',
    fields={
        "path": "/api/x",
        "status": 503,
        "status_text": "503",
        "padded": "0503",
        "load": 0.5,
        "tenth": 0.1,
        "huge": 1e16,
        "zero": -0.0,
        "nan": float("nan"),
        "ok": True,
        "ok_text": "true",
        "empty": "",
        "nothing": None,
        "config_keys": ["FLAG_X", "REDIS_URL"],
        "no_keys": [],
        "message": "never seen: the event's own name wins",
    },
    flags=("memory_store_on_production", "late"),
)


def holds(text: str, event: Event = EVENT) -> bool:
    return predicate(parse_filter(text))(event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        # the event's own columns
        ("id:0196bf00-0000-7000-8000-00000000000a", True),
        ("app:raxx-api-prod environment:production source:heroku process:router dyno:web.1", True),
        ("kind:router_error code:H12 process_type:web", True),
        ("code:h12", False),
        ("code:H1", False),
        ("process_type:worker", False),
        ("message:H12", False),
        ("message:*H12*", True),
        # text in the message
        ("TIMEOUT", True),
        ('"request timeout"', True),
        ('"timeout request"', False),
        ("mÜller", True),
        ("müller", False),
        ('"* 100%_"', True),
        ('"1?0"', False),
        ("1?0%", True),
        ("TIMEO*T", True),
        ("timeout*müller", False),
        ("timeout*mÜller", True),
        ("h12*at=error", False),
        ("aut?error", False),
        ("at?error", True),
        # fields, by their texts
        ('path:"/api/x"', True),
        ("path:/api/*", True),
        ("path:/*x", True),
        ("path:/api/??", False),
        ('path:"/api/*"', False),
        ("status:503", True),
        ("status:503.0", True),
        ("status:0503", False),
        ("status:5*", True),
        ("status_text:503", True),
        ("status_text:503.0", False),
        ("padded:503", False),
        ("padded:0503", True),
        ("load:0.5", True),
        ("load:0.50", True),
        ("tenth:0.1", True),
        ("huge:10000000000000000", True),
        ("huge:1*0", True),
        ("huge:*e*", False),
        ("zero:0", True),
        ("ok:true", True),
        ("ok:1", False),
        ("ok:True", False),
        ("ok:t*", True),
        ("ok_text:true", True),
        ('empty:""', True),
        ("config_keys:FLAG_X", True),
        ("config_keys:FLAG_*", True),
        ("config_keys:FLAG", False),
        ("flags:late", True),
        ("flags:memory_*", True),
        ("flags:lat", False),
        # whether there is a value
        ("code:* flags:* config_keys:* ok:* zero:* empty:* ts:* severity:*", True),
        ("nothing:* OR no_keys:* OR unknown:*", False),
        # comparisons
        ("status>502 status>=503 status<=503 status<503.5", True),
        ("status>503 OR status<503", False),
        ("status_text>=500", True),
        ("padded>=503 padded<=503", True),
        ("load<0.75", True),
        ("tenth>=0.1 tenth<=0.1", True),
        ("zero>=0", True),
        ("nan>=0 OR nan<0 OR nan:0", False),
        ("ok>=0 OR config_keys>=0 OR path>=0 OR empty>=0 OR nothing>=0 OR unknown>=0 OR unknown<0", False),
        ("severity:error severity>=error severity>warning severity<critical severity>info", True),
        ("severity>error", False),
        ('ts:"2026-05-11T12:00:00.123456Z"', True),
        ('ts:"2026-05-11T14:00:00.123456+02:00"', True),
        ('ts>"2026-05-11T12:00:00Z" received_at>="2026-05-11T12:00:01Z"', True),
        ('ts>"2026-05-11T12:00:01Z"', False),
        # the complement
        ("-code:H12", False),
        ("-unknown:x", True),
        ("-unknown>5", True),
        ("-nothing:*", True),
        ("unknown:x", False),
        # together
        ("code:H10 OR code:H12 app:other", False),
        ("(code:H10 OR code:H12) app:raxx-*", True),
        ("code:H10 OR code:H11 OR code:H12", True),
        ("code:H10 OR code:H11 OR code:H13", False),
        ("timeout at code:H12", True),
        ("timeout at code:H13", False),
    ],
)
def test_an_event_is_in_a_filter(text: str, expected: bool) -> None:
    assert holds(text) is expected
    assert holds(f"-({text})" if text else "-*") is not expected


def test_an_event_without_a_dyno_has_no_dyno_and_no_process_type() -> None:
    event = replace(EVENT, dyno=None, code=None, id=None)
    assert not holds('dyno:* OR process_type:* OR code:* OR id:* OR dyno:"" OR dyno:None', event)


def test_letters_beyond_ascii_count_as_themselves() -> None:
    for letter in "\u0130\u0131\u017f\u212a":  # İ ı ſ K: each folds to an ASCII letter in Unicode
        event = replace(EVENT, message=letter)
        assert not holds("i OR s OR k OR i*", event)
        assert holds(letter, event)


def test_every_column_of_an_event_is_a_name() -> None:
    assert {name for name in COLUMNS if not holds(f"{name}:*")} == set()
    assert set(Event.__slots__) - {"fields", "place"} | {"process_type"} == COLUMNS


@pytest.mark.parametrize(
    "pattern", ["a*" * 4000 + "b", "message:" + "a*" * 4000 + "b", "message:*" + "a?" * 1000 + "b"]
)
def test_no_glob_makes_a_long_message_cost_more_than_its_length(pattern: str) -> None:
    matches, long = predicate(parse_filter(pattern)), replace(EVENT, message="a" * 80_000)
    short = replace(EVENT, message="a" * 10_000)

    assert not matches(long)
    assert times_as_much(lambda: matches(long), lambda: matches(short)) < 28
