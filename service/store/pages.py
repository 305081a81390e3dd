"""Keyset cursors: where in a list a page ended, so that the next one begins there however long the list is.

A cursor is the place of the last row: 8 bytes of microseconds, 16 of its id, 4 of a number, and 4 of a check, in base64url.
The check covers the list's name: what is mistyped, cut, or from another list is refused instead of answered with nonsense.
It is no secret and no signature: a cursor says nothing that its reader could not ask for.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, literal, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP

from service.errors import Refused

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">q16sI")
_CHECK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Key:
    """The place of a row in a list that is ordered by time, then id, then number, all descending."""

    at: datetime
    id: UUID
    number: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and the key after which the next page begins; None where there is no more."""

    items: tuple[T, ...]
    next: Key | None


def cursor_of(key: Key, *, of: str) -> str:
    """The cursor, for people opaque, that `read_cursor` reads back for the same list."""
    packed = _PLACE.pack((key.at - _EPOCH) // _MICROSECOND, key.id.bytes, key.number)
    return base64.urlsafe_b64encode(packed + _check(packed, of)).decode()


def read_cursor(text: str, *, of: str) -> Key:
    """The key in a cursor of the list `of`. Raises Refused (400) for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        packed, check = raw[: _PLACE.size], raw[_PLACE.size :]
        micros, id_bytes, number = _PLACE.unpack(packed)
        if check != _check(packed, of):
            raise ValueError("the check does not fit")
        return Key(_EPOCH + micros * _MICROSECOND, UUID(bytes=id_bytes), number)
    except (ValueError, binascii.Error, struct.error, OverflowError) as error:
        raise Refused(
            400,
            "cursor is none that this list has given; expected the `next_cursor` of the page before, or none",
            parameter="cursor",
            expected="the next_cursor of the page before",
        ) from error


def follows(at: ColumnElement[Any], id: ColumnElement[Any], key: Key) -> ColumnElement[bool]:
    """The rows that come after `key` in a list that is ordered by these two columns, descending; an index can tell."""
    after: ColumnElement[bool] = tuple_(at, id) < tuple_(*place_of(key))
    return after


def place_of(key: Key) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What a row's time and id compare with, as one row: `tuple_(at, id) < tuple_(*place_of(key))`."""
    return literal(key.at, TIMESTAMP(timezone=True)), literal(key.id, Uuid)


def _check(packed: bytes, of: str) -> bytes:
    return hashlib.blake2s(packed, digest_size=_CHECK_BYTES, key=of.encode()).digest()
