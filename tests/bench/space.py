"""Bytes on disk of one line: everything that drainwatch keeps of it, beside one row a line with one index (app, ts).

Two apps are measured: one of bodies of 100 lines, and a quiet one of 3, each body a commit of its own. As in a day's work
commits, merging and autovacuum take turns (here: `vacuum` after each round), and what has not been merged yet counts
as it is. Counted is every relation with its indexes, its TOAST table and its dead rows. Run as
`python tests/bench/space.py [LINES]`, the number of lines of the quiet app; the other has three times as many.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
from figures import Figure, record
from traffic import bodies, lines

from parsers.line import Origin
from service.app import reading_of
from service.ingest import drains
from service.ingest.commit import read_and_commit
from service.ingest.posted import Posted
from service.settings import read_settings
from service.store import drains as drain_rows
from service.store import merging, schema
from service.store.database import Database
from service.store.drains import DrainCredentials
from service.store.embedded import EmbeddedPostgres

APP = Origin("bench-prod", "production")
READING = reading_of(read_settings({}))
# Lines a body; bodies that come until they are merged (12 or 128 fill or make a chunk) and the dead ones vacuumed (autovacuum
# begins with 50); how many times as many lines as asked for; how many times the row table's space is the goal.
APPS = ((100, 60, 3, 6), (3, 180, 1, 3))
_SIZES = """
    select coalesce(pg_partition_root(oid), oid)::regclass::text as name, sum(pg_relation_size(oid)) as heap,
        sum(pg_indexes_size(oid)) as indexes, sum(pg_total_relation_size(oid)) as total
    from pg_class
    where relkind = 'r' and oid::regclass::text ~ '^(rows|chunks|events|frames|merging)' group by 1 order by 1
"""


async def main(number: int) -> None:
    """Prints bytes a line by table, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = EmbeddedPostgres(home, settings={"fsync": "off", "synchronous_commit": "off"})
        url = await postgres.start()
        try:
            for per_body, a_round, times, goal in APPS:
                await schema.migrate(url)
                messages = list(lines(number * times))
                _print(await _measure(url, messages, per_body, a_round), len(messages), per_body, goal)
                await schema.migrate(url, to="base")
        finally:
            await postgres.stop()


async def _measure(url: str, messages: Sequence[bytes], per_body: int, a_round: int) -> list[asyncpg.Record]:
    db = Database.open(url)
    conn = await db.asyncpg()
    try:
        await drains.add(
            db, app=APP.app, environment=APP.environment, logplex_token=None, public_url="http://localhost"
        )
        async with db.read() as reading:
            (drain,) = await drain_rows.find(reading, APP.app)
        waiting = bodies(list(messages), per_body)
        for at in range(0, len(waiting), a_round):
            await _keep(conn, drain, waiting[at : at + a_round])
            await conn.execute("delete from pending")  # folded
            await _merge(db, drain.app_id)
            await conn.execute("vacuum chunks")
        await _copy(conn, messages)
        sizes = await conn.fetch(_SIZES)
        await conn.execute("drop table rows")
        return sizes
    finally:
        await conn.close()
        await db.close()


async def _keep(conn: "asyncpg.Connection[asyncpg.Record]", drain: DrainCredentials, waiting: Sequence[bytes]) -> None:
    for body in waiting:
        await read_and_commit(conn, [Posted(drain, body, uuid4().bytes, datetime.now(UTC))], READING, careful=False)


async def _merge(db: Database, app_id: int) -> None:
    now = datetime.now(UTC) + merging.SETTLED_AFTER
    more = True
    while more:
        async with db.begin() as conn:
            await merging.due(conn, now=now)
            more = (await merging.merge(conn, app_id, now=now)).more


async def _copy(conn: "asyncpg.Connection[asyncpg.Record]", messages: Sequence[bytes]) -> None:
    """The same lines, a row each."""
    await conn.execute("create table rows (app int, ts timestamptz, line text); create index on rows (app, ts)")
    rows = [(1, datetime.fromisoformat(one.split(b" ", 2)[1].decode()), one[:-1].decode()) for one in messages]
    await conn.copy_records_to_table("rows", records=rows)
    await conn.execute("vacuum rows")


def _print(sizes: Sequence[asyncpg.Record], number: int, per_body: int, goal: int) -> None:
    print(f"{number:,} lines, {per_body} a body; bytes a line:     heap  TOAST indexes  total")
    each = {row["name"]: [float(row[column]) / number for column in ("heap", "indexes", "total")] for row in sizes}
    for name, (heap, indexes, total) in each.items():
        print(f"{name:>40} {heap:7.1f} {total - heap - indexes:6.1f} {indexes:7.1f} {total:6.1f}")
    rows = each.pop("rows")[-1]
    kept = sum(total for *_, total in each.values())
    what, against = f"space on disk, {per_body} lines a body", f"one row a line, one index: {rows:.1f}"
    ratio = f"1/{rows / kept:.2f}"
    record(Figure(what, f"{kept:.1f} bytes a line", against, ratio, f"1/{goal}", rows / kept >= goal))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120_000))
