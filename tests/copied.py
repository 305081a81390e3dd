"""Rows in a table, by COPY."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg

from service.store.copy_in import Columns, copy_in, copying, encoded


async def copy_rows(
    conn: "asyncpg.Connection[asyncpg.Record]", table: str, columns: Columns, rows: Sequence[Sequence[Any]]
) -> None:
    """Adds `rows` to one table."""

    async def all_rows() -> AsyncIterator[bytes]:
        yield encoded(columns, rows)

    await copy_in(conn, [copying(table, columns)], all_rows())
