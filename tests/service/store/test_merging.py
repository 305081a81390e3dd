"""Chunks, merged: which, when, into what; and what is left of it when a worker dies."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import zstandard
from sqlalchemy import select, text, update

from arriving import FEW, NEXT_DAY, NOON, SECOND, SOON, arrive, arrive_each, kept, listed, turn
from parsers.frame import read_lines
from service.errors import StoreAway
from service.store import apps
from service.store.database import Database
from service.store.merging import Done, Sizes, due, merge
from service.store.tables import chunks as table
from service.store.tables import pending, spools

# -- what is merged --------------------------------------------------------------------------------------------------


async def test_chunks_become_one_once_there_are_many_and_each_line_stays_what_and_where_it_was(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    before = await listed(store)

    assert await turn(store, now=SOON) == Done(before=4, chunks=1, more=True)

    assert await kept(store) == [(4, True)]
    assert await listed(store) == before


async def test_chunks_are_merged_on_every_server(db: Database) -> None:
    async with db.begin() as conn:
        await apps.ensure(conn, name="shop", environment="production")
    await arrive_each(db, *"abcdef")
    await turn(db, now=SOON)
    await arrive_each(db, *"ghij", since=NOON + timedelta(minutes=1))
    before = await listed(db)
    await turn(db, now=SOON)

    assert await kept(db) == [(10, True)]
    assert await listed(db) == before
    async with db.read() as conn:
        row = (await conn.execute(select(table))).one()
    assert (row.received_at, row.ended_at) == (NOON, NOON + timedelta(minutes=1, seconds=3))
    body = zstandard.ZstdDecompressor().decompress(row.body)
    assert "".join(line.text for line in read_lines(body, row.received_at)) == "abcdefghij"


async def test_a_merged_chunk_reads_like_any_other(store: Database) -> None:
    await arrive(store, "a", "b")
    await arrive(store, "c", at=NOON + SECOND, process="worker.1")
    await turn(store, now=NEXT_DAY)

    async with store.read() as conn:
        row = (await conn.execute(select(table))).one()
    body = zstandard.ZstdDecompressor().decompress(row.body)
    assert [line.text for line in read_lines(body, row.received_at)] == ["a", "b", "c"]
    assert (row.lines, row.size, row.processes) == (3, len(body), ["web.1", "worker.1"])
    assert (row.received_at, row.first_at, row.ended_at, row.last_at) == (NOON, NOON, NOON + SECOND, NOON + SECOND)


async def test_few_chunks_wait_for_more_until_their_day_is_over(store: Database) -> None:
    await arrive_each(store, "a", "b", "c")
    await turn(store, now=SOON)
    assert len(await kept(store)) == 3

    await turn(store, now=NEXT_DAY)
    assert await kept(store) == [(3, True)]


async def test_a_chunk_that_came_within_the_last_minute_stays(store: Database) -> None:
    await arrive_each(store, "a", "b", "c")
    two = Sizes(many=2)

    await turn(store, now=NOON + 60 * SECOND, sizes=two)
    assert await kept(store) == [(1, False)] * 3
    await turn(store, now=NOON + 62 * SECOND, sizes=two)
    assert await kept(store) == [(2, True), (1, False)]


async def test_a_chunk_that_waits_to_be_folded_stays_and_so_do_those_behind_it(store: Database) -> None:
    await arrive_each(store, "a", "b")
    await arrive(store, "c", at=NOON + 2 * SECOND, folded=False)
    await arrive_each(store, "d", "e", since=NOON + 3 * SECOND)

    await turn(store, now=NEXT_DAY, sizes=Sizes(many=2))
    assert await kept(store) == [(2, True), *[(1, False)] * 3]

    async with store.begin() as conn:
        await conn.execute(pending.delete())
    await turn(store, now=NEXT_DAY)
    assert await kept(store) == [(5, True)]


async def test_what_may_still_come_from_a_web_process_disk_is_waited_for(store: Database) -> None:
    await arrive_each(store, "a", "b", "d", "e")
    async with store.begin() as conn:
        await conn.execute(
            spools.insert(), {"holder": "web.1", "since": NOON + 2 * SECOND, "seen_at": datetime.now(UTC)}
        )
    await turn(store, now=NEXT_DAY, sizes=Sizes(many=2))
    assert await kept(store) == [(2, True), (1, False), (1, False)]

    async with store.begin() as conn:
        await conn.execute(spools.update().values(seen_at=datetime.now(UTC) - timedelta(hours=2)))
    await turn(store, now=NEXT_DAY)
    assert await kept(store) == [(4, True)]


async def test_a_merged_chunk_that_is_small_is_merged_again_and_a_full_one_is_not(store: Database) -> None:
    line = "x" * 80  # with its header 130 bytes
    for number in range(4):
        await arrive_each(store, *[line] * 4, since=NOON + number * timedelta(minutes=1))
        await turn(store, now=SOON)

    assert await kept(store) == [(8, True), (8, True)]


async def test_days_are_merged_apart_and_what_is_over_is_not_asked_for_again(store: Database) -> None:
    await arrive_each(store, "a", "b", since=NEXT_DAY - timedelta(hours=12, seconds=2))
    await arrive_each(store, "c", "d", "e", since=NEXT_DAY - timedelta(hours=12))
    while (await turn(store, now=NEXT_DAY + timedelta(days=1))).more:
        pass

    assert await kept(store) == [(2, True), (3, True)]
    async with store.begin() as conn:
        assert await due(conn, now=NEXT_DAY + timedelta(days=1)) == []


async def test_an_app_is_due_when_a_chunk_can_be_filled_or_many_came_or_a_day_is_over(store: Database) -> None:
    async def apps_due(now: datetime, **sizes: int) -> list[int]:
        async with store.begin() as conn:
            return await due(conn, now=now, sizes=Sizes(**sizes))

    await arrive_each(store, "a" * 100, "b" * 100)
    await arrive(store, "c", app_id=2)
    assert await apps_due(SOON) == []
    assert await apps_due(SOON, many=2) == [1]
    assert await apps_due(SOON, target=300) == [1]
    assert await apps_due(NEXT_DAY) == [1, 2]


async def test_large_chunks_stay_as_they_came_and_are_passed_by(store: Database) -> None:
    await arrive_each(store, *["x" * 800] * 5)
    async with store.begin() as conn:
        assert await due(conn, now=SOON, sizes=FEW) == [1]

    assert await turn(store, now=SOON) == Done(before=0, chunks=0, more=True)

    assert await kept(store) == [(1, False)] * 5
    async with store.begin() as conn:
        assert await due(conn, now=SOON, sizes=FEW) == []


async def test_a_chunk_that_cannot_be_read_stays_with_its_neighbours_and_is_passed_by(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    async with store.begin() as conn:
        await conn.execute(update(table).where(table.c.received_at == NOON).values(body=b"no zstd"))
    await turn(store, now=NOON + timedelta(minutes=2))
    await arrive_each(store, "e", "f", "g", "h", since=NOON + timedelta(minutes=2))
    await turn(store, now=SOON)

    assert await kept(store) == [*[(1, False)] * 4, (4, True)]


# -- who merges, and dies --------------------------------------------------------------------------------------------


async def test_while_one_worker_is_at_an_app_another_does_not_wait_for_it(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    async with store.begin() as conn:
        await due(conn, now=SOON)
    async with store.begin() as conn:
        await merge(conn, 1, now=SOON, sizes=FEW)
        async with asyncio.timeout(30):
            assert await turn(store, now=SOON) == Done(before=0, chunks=0, more=False)


async def test_of_several_workers_at_one_app_one_merges_and_the_others_do_nothing(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    before = await listed(store)
    async with store.begin() as conn:
        await due(conn, now=SOON)

    turns = await asyncio.gather(*[turn(store, now=SOON) for _ in range(4)])

    assert sorted(done.chunks for done in turns) == [0, 0, 0, 1]
    assert await listed(store) == before


async def test_whenever_a_worker_dies_no_line_is_lost_or_doubled_and_the_next_one_goes_on(store: Database) -> None:
    chance = random.Random(1)
    few = Sizes(target=400)
    for minute in range(3):
        await arrive_each(store, *"abcdefgh", since=NOON + minute * timedelta(minutes=1))
    before = await listed(store)
    worker = Database.open(store.url)
    died = 0
    while died < 10:
        async with store.begin() as conn:
            await due(conn, now=NEXT_DAY)
        with suppress(StoreAway):
            async with worker.begin() as conn:
                await conn.execute(text("set local statement_timeout = 0"))
                pid = await conn.scalar(text("select pg_backend_pid()"))
                dying = asyncio.create_task(end_backend(store, pid, after=chance.uniform(0, 0.02)))
                await merge(conn, 1, now=NEXT_DAY, sizes=few)
        died += await dying
        assert await listed(store) == before
    await worker.close()

    while (await turn(store, now=NEXT_DAY, sizes=few)).more:
        pass
    assert await listed(store) == before
    assert all(is_merged for _, is_merged in await kept(store))


async def end_backend(db: Database, pid: int, *, after: float) -> bool:
    """Ends a connection's server process in the midst of what it does; whether it was there."""
    await asyncio.sleep(after)
    async with db.begin() as conn:
        return bool(await conn.scalar(text("select pg_terminate_backend(:pid)"), {"pid": pid}))
