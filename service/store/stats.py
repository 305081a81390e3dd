"""Errors counted over time: how many there were of each code, app, path, dyno or kind, bucket by bucket.

Counted by Postgres where they lie, along the errors' own index: 1 µs an error. Ids in paths are folded (`/orders/4711` is
`/orders/:id`), or each request would be a row of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Interval,
    Text,
    any_,
    cast,
    desc,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.filters.tree import Everything
from service.store import apps
from service.store.events import Wanted
from service.store.filter_sql import narrowed, where
from service.store.tables import events

By = Literal["code", "app", "path", "dyno", "kind"]
BYS: tuple[str, ...] = get_args(By)

# A stretch of a path between slashes that names one thing among many: a number, a UUID, eight or more hex digits, sixteen or
# more letters and digits, `ord_9f8d21`; each with a digit in it. `v2`, `oauth2` and `2024-report` are no ids.
_ID = (
    r"/(?:\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}"
    r"|(?=[A-Za-z]*\d)[A-Za-z0-9]{16,}|[a-z]{2,8}_(?=[A-Za-z]*\d)[A-Za-z0-9]{6,})(?=/|$)"
)
_EPOCH: ColumnElement[datetime] = literal_column("timestamptz '1970-01-01 00:00:00+00'")


@dataclass(frozen=True, slots=True)
class Count:
    """So many errors of one key in the bucket that begins at `at`; the key is None where they have none."""

    at: datetime
    key: str | None
    count: int


async def errors(
    conn: AsyncConnection, wanted: Wanted, *, by: str, bucket: timedelta, most_keys: int
) -> tuple[list[Count], int]:
    """The errors that are wanted, counted by `by` and bucket, of the `most_keys` keys with most of them; and how many other
    keys there are. Buckets without any are left out, and lie at whole multiples of their width (UTC)."""
    known = await apps.known(conn, name=wanted.app, environment=wanted.environment)
    app_ids = list(narrowed(wanted.q, known).app_ids)
    width = literal(bucket, Interval)
    query = select(
        func.date_bin(width, events.c.ts, _EPOCH).label("at"), _KEYS[by].label("key"), func.count().label("n")
    )
    # To the letter as the partial index has it.
    query = query.where(events.c.severity >= literal_column("3"))
    query = query.where(events.c.app_id == any_(literal(app_ids, ARRAY(Integer))))
    for name in ("code", "kind", "dyno"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(events.c[name] == value)
    if wanted.since is not None:
        query = query.where(events.c.ts >= literal(wanted.since, TIMESTAMP(timezone=True)))
    if wanted.until is not None:
        query = query.where(events.c.ts < literal(wanted.until, TIMESTAMP(timezone=True)))
    if not isinstance(wanted.q, Everything):
        query = query.where(where(wanted.q, known))
    counted = query.group_by(literal_column("1"), literal_column("2")).cte("counted")
    total = func.sum(counted.c.n)
    ranked = select(
        counted.c.key, func.row_number().over(order_by=(desc(total), counted.c.key)).label("rank")
    ).group_by(counted.c.key)
    top = ranked.subquery("top")
    same = counted.c.key.is_not_distinct_from(top.c.key)
    rows = (
        await conn.execute(
            select(counted.c.at, counted.c.key, counted.c.n, top.c.rank)
            .join(top, same)
            .order_by(top.c.rank, counted.c.at)
        )
    ).all()
    shown = [Count(row.at, _named(row.key, by, known), row.n) for row in rows if row.rank <= most_keys]
    return shown, max(0, _keys_of(rows) - most_keys)


def _keys_of(rows: Sequence[Any]) -> int:
    return max((row.rank for row in rows), default=0)


def _named(key: str | None, by: str, known: dict[int, apps.App]) -> str | None:
    return known[int(key)].name if by == "app" and key is not None else key


def _path() -> ColumnElement[str]:
    path = func.split_part(events.c.fields.op("->>", return_type=Text())(literal("path", Text)), "?", 1)
    folded: ColumnElement[str] = func.nullif(func.regexp_replace(path, literal(_ID, Text), "/:id", "g"), "")
    return folded


_KEYS: dict[str, ColumnElement[Any]] = {
    "code": events.c.code,
    "app": cast(events.c.app_id, Text),
    "path": _path(),
    "dyno": events.c.dyno,
    "kind": events.c.kind,
}
