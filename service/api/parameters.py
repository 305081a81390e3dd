"""The API's parameters, each described once: how it is read, what the documents say of it, what a wrong one is told.

A wrong value raises ValueError in pydantic's sense, with what was expected beside it; `problems.py` makes a 400 of it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query as FromQuery
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from parsers.event import Severity
from parsers.filters import FilterError, Node, parse_filter

TEXT_LENGTH = 300
LONG_TEXT_LENGTH = 10_000
# The server reads URLs of up to 64 KiB, and a character may take twelve letters there (%F0%9F%98%80).
MOST_OF_A_URL = 5_000
_LARGEST_VERSION = 2**31 - 1  # Postgres's `integer`
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LARGEST_BUCKET = 30 * 86_400
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
# RFC 3339 §5.6; a `+` that nobody encoded has become a space on its way.
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?([Zz]|[+ -][0-9]{2}:[0-9]{2})"
)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TIME = "an RFC 3339 time as in 2026-05-11T12:00:00Z, or a time ago as in 15m, 2h or 7d"


class Query(BaseModel):
    """An endpoint's query parameters; one that it does not have is refused, not overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


NoQuery = Annotated[Query, FromQuery()]


class Body(BaseModel):
    """A request's body, likewise; and values of another JSON type are refused, not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def refuse(expected: str) -> PydanticCustomError:
    """The error to raise for a value that is not `expected`."""
    return PydanticCustomError("refused", "expected {expected}", {"expected": expected})


def parse_time(text: str, *, now: datetime) -> datetime:
    """The time that `text` names: RFC 3339, or as long before `now` as it says. Aware UTC.

    Digits beyond microseconds are cut; a leap second is the next second's beginning; what lies before the year 1 or after
    9999 is the nearest that does not. Raises ValueError for other text.
    """
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return _FIRST
    if not (parts := _RFC_3339.fullmatch(text)):
        raise ValueError("neither a time nor a time ago")
    day, minute, second, fraction, offset = parts.groups()
    leap = second == "60"
    offset = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
    at = datetime.fromisoformat(f"{day}T{minute}{'59' if leap else second}{(fraction or '')[:7]}{offset}")
    try:
        return (at.replace(microsecond=0) + timedelta(seconds=1) if leap else at).astimezone(UTC)
    except OverflowError:
        return _FIRST if at.year == 1 else _LAST


def _time(text: object) -> datetime:
    try:
        return parse_time(str(text), now=datetime.now(UTC))
    except ValueError as error:
        raise refuse(_TIME) from error


def _filter(text: object) -> Node:
    if len(str(text)) > MOST_OF_A_URL:
        expected = f"at most {MOST_OF_A_URL} characters in a URL"
        said = {"expected": expected, "column": MOST_OF_A_URL + 1, "detail": f"q: The filter is too long: {expected}."}
        raise PydanticCustomError("filter", "expected {expected}", said)
    try:
        return parse_filter(str(text))
    except FilterError as error:
        said = {"expected": error.expected, "column": error.column, "detail": f"q: {error.message}"}
        raise PydanticCustomError("filter", "expected {expected}", said) from error


def _bucket(text: object) -> timedelta:
    """Whole minutes, at least one."""
    ago = _AGO.fullmatch(str(text))
    seconds = int(ago[1]) * _UNIT_SECONDS[ago[2]] if ago else 0
    if not 60 <= seconds <= _LARGEST_BUCKET or seconds % 60:
        raise refuse("a width in whole minutes, up to 30d, as in 5m, 1h or 1d")
    return timedelta(seconds=seconds)


def _limit(text: object) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", str(text)) or not 1 <= int(str(text)) <= 1000:
        raise refuse("a whole number from 1 to 1000")
    return int(str(text))


def _whole(number: object) -> object:
    """JSON knows no integers: 1.0 is one (JSON Schema, "integer")."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _version(number: int) -> int:
    if not 1 <= number <= _LARGEST_VERSION:
        raise refuse(f"a whole number from 1 to {_LARGEST_VERSION}")
    return number


def _severity(text: object) -> Severity:
    try:
        return Severity[str(text).upper()] if str(text).islower() else Severity[""]
    except KeyError as error:
        raise refuse(f"one of {', '.join(severity.label for severity in Severity)}") from error


def _storable(text: str, *, length: int = TEXT_LENGTH) -> str:
    # Postgres keeps neither in a text, so nothing there can be alike.
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise refuse("text without NUL bytes and lone surrogates")
    if not text or len(text) > length:
        raise refuse(f"1 to {length} characters")
    return text


def _long(text: str) -> str:
    return _storable(text, length=LONG_TEXT_LENGTH)


_TIME_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": "^[0-9]{1,9}[smhd]$"},
    ],
    "examples": ["2h", "2026-05-11T12:00:00Z"],
}

_TEXT_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": TEXT_LENGTH, "pattern": r"^[^\u0000]+$"}

Storable = Annotated[str, AfterValidator(_storable)]
Text = Annotated[Storable, Field(json_schema_extra=_TEXT_SCHEMA)]
LongText = Annotated[
    str, AfterValidator(_long), Field(json_schema_extra={**_TEXT_SCHEMA, "maxLength": LONG_TEXT_LENGTH})
]
Whole = Annotated[int, BeforeValidator(_whole)]
Version = Annotated[
    Whole, AfterValidator(_version), Field(json_schema_extra={"minimum": 1, "maximum": _LARGEST_VERSION})
]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema(_TIME_SCHEMA)]

App = Annotated[Text | None, Field(description="Only of this app.", examples=["raxx-api-prod"])]
Environment = Annotated[
    Text | None, Field(description="Only of apps used for this environment.", examples=["production"])
]
Code = Annotated[Text | None, Field(description="Only with this H, R or L code.", examples=["H12"])]
Kind = Annotated[
    Text | None,
    Field(
        description="Only of this kind. `traffic`, `heartbeat` and `platform_status` are listed only when asked for.",
        examples=["router_error"],
    ),
]
Dyno = Annotated[Text | None, Field(description="Only what is about this dyno.", examples=["web.1"])]
Filter = Annotated[
    Any,  # a Node or None; the document is to say what is sent, not what becomes of it
    BeforeValidator(_filter),
    WithJsonSchema(
        {
            "type": "string",
            "format": "filter",
            "maxLength": MOST_OF_A_URL,
            "examples": ["code:H12 path:/api/* service_ms>5000 -dyno:web.2"],
        }
    ),
    Field(
        description="Only what is in this filter (docs/filters.md): `code:H12 path:/api/* service_ms>5000 -dyno:web.2`, "
        '`(code:H10 OR code:R10)`, `"words in the message"`. A wrong one is 400 with its column.'
    ),
]
State = Annotated[Text | None, Field(description="Only in this state.", examples=["crashed"])]
Since = Annotated[Time | None, Field(description="Only from this time on: RFC 3339, or a time ago.")]
Until = Annotated[Time | None, Field(description="Only before this time: RFC 3339, or a time ago.")]
Bucket = Annotated[
    timedelta,
    BeforeValidator(_bucket),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}[smhd]$", "examples": ["5m", "1h"]}),
    Field(description="How wide a bucket is: whole minutes."),
]
AtLeast = Annotated[
    Severity | None,
    BeforeValidator(_severity),
    WithJsonSchema({"type": "string", "enum": [severity.label for severity in Severity]}),
    Field(description="Only as bad as this, or worse."),
]
Limit = Annotated[
    int,
    BeforeValidator(_limit),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1000}),
    Field(description="How many items a page has at most."),
]
Cursor = Annotated[
    Annotated[Text, WithJsonSchema({"type": "string", "format": "cursor"})] | None,
    Field(description="The `next_cursor` of the page before, for the page after it; opaque."),
]
