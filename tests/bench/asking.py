"""The latest errors among so many stored events, asked as people ask, and page 10,000 beside page 1.

PYTHONPATH=.:tests:tests/system:tests/bench python tests/bench/asking.py [EVENTS]
"""

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from figures import Figure, record
from sqlalchemy import text

from parsers.filters import parse_filter
from service.store import apps, events, partitions, schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.store.event_walk import Wanted, walk_of
from service.store.pages import Key
from service.store.partitions import Partition

APPS, WEEKS, TIMES = 20, 13, 15
MOST_MS = 20.0

# One app in twenty has half of all events. Of all, two thirds are errors; R15 is one in 20,000.
FILL = """
    insert into events (app_id, received_at, id, ts, kind, code, severity, source, process, dyno, message, fields, flags,
        chunk_id, place)
    select case when n % 2 = 0 then 1 else 2 + n / 2 % 19 end, at, gen_random_uuid(), at - interval '1 second',
        case when code is null then 'dyno_state' else 'router_error' end, code, case when code is null then 1 else 3 end,
        'heroku', 'router', 'web.' || n % 8, 'at=error code=' || coalesce(code, '') || ' desc="Request timeout" method=GET'
            || ' path="/api/x/' || n % 100 || '" host=shop.example.com request_id=' || md5(n::text) || ' status=503',
        jsonb_build_object('path', '/api/x/' || n % 100, 'status', 503, 'service_ms', n::bigint * 7919 % 30000, 'method', 'GET',
            'host', 'shop.example.com', 'request_id', md5(n::text)),
        '{}', gen_random_uuid(), 0
    from (
        select n, now() - n * interval '12 weeks' / :events as at,
            case when n % 20000 = 8 then 'R15' when n % 3 = 2 then null else 'H1' || n % 5 end as code
        from generate_series(1, :events) as n
    ) as made
"""

ASKED = {
    "latest 100 errors of an app": {"app": "app-7"},
    "… of the busiest app": {"app": "app-1"},
    "… of all apps": {},
    "… of an app by code": {"app": "app-7", "code": "H12"},
    "… of an app by a rare code": {"app": "app-1", "code": "R15"},
    "… of all apps by a rare code, in a filter": {"q": parse_filter("code:R15")},
    "… of an app, code:H11 path:/api/x/1* in a filter": {"app": "app-1", "q": parse_filter("code:H11 path:/api/x/1*")},
    "… of all apps, service_ms>25000 in a filter": {"q": parse_filter("service_ms>25000")},
    "… of some apps (a glob), status>=500 in a filter": {"q": parse_filter("app:app-1? status>=500")},
}


async def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o711)
        postgres = EmbeddedPostgres(home)
        url = await postgres.start()
        try:
            await schema.migrate(url)
            db = Database.open(url, statement_seconds=None)
            await fill(db, number)
            print(f"{number:,} events of {APPS} apps in {WEEKS} weeks; goal: under 20 ms at the median, an index each")
            took = {name: await report(db, name, Wanted(errors_only=True, **wanted)) for name, wanted in ASKED.items()}
            first, far = await paging(db, number)
            await db.close()
        finally:
            await postgres.stop()
    of = f"of {number:,} events"
    plain = next(iter(ASKED))
    _record(f"{plain}, {of}", took[plain], MOST_MS)
    worst = max(took, key=lambda name: took[name])
    _record(f"the slowest of {len(took)} questions, {of}: {worst.removeprefix('… ')}", took[worst], MOST_MS)
    # Noise is some tenths of a page.
    record(
        Figure(
            "page 10,000", f"{far:.1f} ms", f"page 1 {first:.1f} ms", f"{far / first:.2f}", "about 1", far < 1.5 * first
        )
    )


def _record(what: str, ms: float, most: float) -> None:
    record(Figure(what, f"median {ms:.1f} ms", "", "", f"under {most:.0f} ms", ms < most))


async def fill(db: Database, number: int) -> None:
    now = datetime.now(UTC)
    weeks = [Partition.of("events", (now - timedelta(weeks=week)).date()) for week in range(WEEKS)]
    async with db.begin() as conn:
        await partitions._make(conn, weeks)
        for n in range(1, APPS + 1):
            await apps.ensure(conn, name=f"app-{n}", environment="production")
        await conn.execute(text(FILL), {"events": number})
    conn = await db.asyncpg()
    await conn.execute("vacuum analyze events", timeout=600)
    await conn.close()


async def report(db: Database, name: str, wanted: Wanted, after: Key | None = None) -> float:
    """The median in ms, which is printed with whether an index is walked."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        async with db.read() as conn:
            page = await events.latest(conn, wanted, after=after, limit=100)
        took.append(time.perf_counter() - began)
    async with db.read() as conn:
        query = (await walk_of(conn, wanted)).rows(after, 101)
        statement = query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[0] for row in await conn.exec_driver_sql("explain " + str(statement).replace("%", "%%")))
    scan = "an index" if "Index Scan" in plan and "Seq Scan on events" not in plan else "NO INDEX"
    print(f"  {name:52} {1000 * median(took):7.1f} ms  {len(page.items):3} events  {scan}", flush=True)
    return 1000 * median(took)


async def paging(db: Database, number: int) -> tuple[float, float]:
    """The medians of the first page and of one far down, in ms."""
    wanted: dict[str, Any] = {"errors_only": True}
    async with db.read() as conn:
        deep = (
            await conn.execute(
                text("select ts, id from events where severity >= 3 order by ts desc, id desc offset :n limit 1"),
                {"n": min(1_000_000, number // 2)},
            )
        ).one()
    first = await report(db, "page 1 of all errors", Wanted(**wanted))
    return first, await report(db, "page 10,000 of all errors", Wanted(**wanted), Key(deep.ts, deep.id))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000))
