"""Rows as COPY takes them in binary (PostgreSQL: COPY, Binary Format), for tables whose columns are known beforehand; several
tables, and what is to be done after them, in one round trip.

asyncpg's own `copy_records_to_table` asks the server for the columns' types before each COPY, which with nothing prepared
under a name costs two round trips a table and commit: a third of the time that a commit took.
"""

import struct
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

Columns = Mapping[str, Callable[[Any], bytes]]

_BEGIN = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
_COPY_DONE = b"c\x00\x00\x00\x04"  # PostgreSQL: Message Formats
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # Postgres's
_TEXT_OID = 25

_int2 = struct.Struct(">ih").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack
_length = struct.Struct(">i").pack
_array = struct.Struct(">iiiii").pack


def int2(value: int) -> bytes:
    """A `smallint`."""
    return _int2(2, value)


def int4(value: int) -> bytes:
    """An `integer`."""
    return _int4(4, value)


def timestamp(value: datetime) -> bytes:
    """A `timestamptz` of an aware time: microseconds since 2000."""
    since = value - _EPOCH
    return _int8(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def uuid(value: UUID) -> bytes:
    """A `uuid`."""
    return b"\x00\x00\x00\x10" + value.bytes


def bytea(value: bytes) -> bytes:
    """A `bytea`."""
    return _length(len(value)) + value


def text(value: str | None) -> bytes:
    """A `text`, or null. Raises ValueError for what is no Unicode text (a lone surrogate)."""
    return _NULL if value is None else bytea(value.encode())


@lru_cache(maxsize=256)
def word(value: str | None) -> bytes:
    """A `text` of few values, which come again and again: a kind, a process."""
    return text(value)


def texts(value: Sequence[str]) -> bytes:
    """A `text[]`."""
    items = b"".join([bytea(one.encode()) for one in value])
    head = _array(1, 0, _TEXT_OID, len(value), 1) if value else struct.pack(">iii", 0, 0, _TEXT_OID)
    return bytea(head + items)


@lru_cache(maxsize=256)
def words(value: tuple[str, ...]) -> bytes:
    """A `text[]` of few values, most often of none."""
    return texts(value)


def jsonb(value: Mapping[str, Any]) -> bytes:
    """A `jsonb`; its binary form is its text behind a version."""
    return bytea(b"\x01" + to_json(value))


def encoded(columns: Columns, rows: Sequence[Sequence[Any]]) -> bytes:
    """`rows`, whose values stand in the order of `columns`, each written as its column's encoder does."""
    if not rows:
        return _BEGIN + _END
    # By columns, so that only the encoders run as Python.
    values = [map(*column) for column in zip(columns.values(), zip(*rows, strict=True), strict=True)]
    counts = [struct.pack(">h", len(columns))] * len(rows)
    return b"".join((_BEGIN, *chain.from_iterable(zip(counts, *values, strict=True)), _END))


def copying(table: str, columns: Columns) -> str:
    """The statement that takes rows with these columns."""
    return f"copy {table} ({','.join(columns)}) from stdin (format binary)"


async def copy_in(
    conn: "asyncpg.Connection[asyncpg.Record]", statements: Sequence[str], rows: AsyncIterable[bytes], then: str = ""
) -> None:
    """Runs `statements`, one or more, with the encoded rows of each, and `then` what else there is to do.

    A simple query may hold several COPYs and other statements, and the server reads the rows of one after those of another
    (PostgreSQL: Message Flow). asyncpg knows of one: it writes the end of the last, and the others' is written here.

    Raises what Postgres says of it (asyncpg.PostgresError), and what `rows` raises; ConnectionDoesNotExistError where the
    connection is lost. After anything else it is good in itself, but PgBouncer may wait for ever for the end of a COPY.
    """

    async def all_rows() -> AsyncIterator[bytes]:
        further = len(statements)
        async for some in rows:
            yield some
            further -= 1
            if further:
                conn._transport.write(_COPY_DONE)

    try:
        await conn._copy_in(";".join((*statements, then)), all_rows(), None)
    except Exception as error:
        if conn.is_closed() and not isinstance(
            error, asyncpg.PostgresError
        ):  # what is written to it then is RuntimeError
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost in the middle of a COPY") from error
        raise
