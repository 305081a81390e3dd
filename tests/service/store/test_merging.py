"""Chunks, merged: every line stays what and where it was, whoever reads, merges or dies meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from parsers.frame import read_lines
from service.errors import StoreAway
from service.store import apps, chunks
from service.store.chunks import KeptLine, Wanted
from service.store.database import Database
from service.store.ids import new_id
from service.store.merging import Candidate, Done, Sizes, due, merge, plan
from service.store.pages import Key
from service.store.tables import chunks as table
from service.store.tables import pending
from vocabulary import message

# Yesterday: its partitions exist, and whether it is over is for each test to say.
NOON = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(12), tzinfo=UTC)
SOON, NEXT_DAY = NOON + timedelta(hours=1), NOON + timedelta(days=1)
FEW = Sizes(target=1500, small=700, many=4)
SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture(loop_scope="session")
async def store(emptied_url: str) -> AsyncIterator[Database]:
    """A database with nothing in it but the apps 1, 2 and 3."""
    db = Database.open(emptied_url)
    async with db.begin() as conn:
        for name in ("shop", "blog", "wiki"):
            await apps.ensure(conn, name=name, environment="production")
    yield db
    await db.close()


async def arrive(
    db: Database, *words: str, at: datetime = NOON, app_id: int = 1, process: str = "web.1", folded: bool = True
) -> UUID:
    """A chunk with these lines, received at that time; gives its id."""
    body = b"".join(message("app", process, said, at) for said in words)
    chunk_id = new_id(at)
    chunk = {"app_id": app_id, "received_at": at, "id": chunk_id, "first_at": at, "last_at": at, "lines": len(words)}
    chunk |= {"processes": [process], "size": len(body), "body": zstandard.ZstdCompressor().compress(body)}
    async with db.begin() as conn:
        await conn.execute(table.insert(), chunk)
        if not folded:
            waiting = {"app_id": app_id, "chunk_id": chunk_id, "received_at": at, "newest_at": at, "events": 0}
            await conn.execute(pending.insert(), waiting)
    return chunk_id


async def arrive_each(db: Database, *words: str, since: datetime = NOON, **more: Any) -> None:
    """A chunk for each of the words, a second apart."""
    for number, said in enumerate(words):
        await arrive(db, said, at=since + number * SECOND, **more)


async def turn(db: Database, *, now: datetime, app_id: int = 1, sizes: Sizes = FEW) -> Done:
    """One worker's turn at an app."""
    async with db.begin() as conn:
        await due(conn, now=now, sizes=sizes)
        return await merge(conn, app_id, now=now, sizes=sizes)


async def listed(db: Database) -> list[KeptLine]:
    """All lines, newest first."""
    async with db.read() as conn:
        return list((await chunks.latest(conn, Wanted(), after=None, limit=10_000)).items)


async def kept(db: Database) -> list[tuple[int, bool]]:
    """How many lines each chunk has and whether it is a merged one, in the order of arrival."""
    async with db.read() as conn:
        rows = await conn.execute(select(table.c.lines, table.c.merged).order_by(table.c.received_at, table.c.id))
        return [(row.lines, row.merged) for row in rows]


# -- what is merged --------------------------------------------------------------------------------------------------


async def test_chunks_become_one_once_there_are_many_and_each_line_stays_what_and_where_it_was(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    before = await listed(store)

    assert await turn(store, now=SOON) == Done(before=4, chunks=1, more=True)

    assert await kept(store) == [(4, True)]
    assert await listed(store) == before


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


async def test_a_chunk_that_came_within_the_last_minute_or_waits_to_be_folded_stays(store: Database) -> None:
    await arrive_each(store, "a", "b")
    await arrive_each(store, "c", "d", since=NOON + 10 * SECOND, folded=False)
    await arrive_each(store, "e", "f", since=SOON)

    await turn(store, now=SOON + 59 * SECOND, sizes=Sizes(many=2))
    assert await kept(store) == [(2, True), *[(1, False)] * 4]

    async with store.begin() as conn:
        await conn.execute(pending.delete())
    await turn(store, now=SOON + 62 * SECOND, sizes=Sizes(many=6))
    assert await kept(store) == [(2, True), *[(1, False)] * 4]
    await turn(store, now=SOON + 62 * SECOND, sizes=Sizes(many=5))
    assert await kept(store) == [(6, True)]


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


async def test_a_chunk_that_cannot_be_read_stays_with_its_neighbours_and_is_passed_by(store: Database) -> None:
    await arrive_each(store, "a", "b", "c", "d")
    async with store.begin() as conn:
        await conn.execute(update(table).where(table.c.received_at == NOON).values(body=b"no zstd"))
    await turn(store, now=NOON + timedelta(minutes=2))
    await arrive_each(store, "e", "f", "g", "h", since=NOON + timedelta(minutes=2))
    await turn(store, now=SOON)

    assert await kept(store) == [*[(1, False)] * 4, (4, True)]


# -- who reads meanwhile ---------------------------------------------------------------------------------------------


async def test_what_comes_late_into_the_time_of_a_merged_chunk_is_listed_where_it_belongs(store: Database) -> None:
    await arrive_each(store, "a", "c", "d", "e", "f")
    await turn(store, now=NEXT_DAY)
    await arrive(store, "b", at=NOON + SECOND / 2)
    await turn(store, now=NEXT_DAY)

    assert await kept(store) == [(5, True), (1, False)]
    assert [line.text for line in await listed(store)] == ["f", "e", "d", "c", "b", "a"]


async def scatter(db: Database, chance: random.Random) -> None:
    """Chunks of three apps over some hours, some of them large, some at the same microsecond, some late."""
    times = [NOON + chance.randrange(40) * timedelta(minutes=5) for _ in range(60)]
    for number, at in enumerate([*sorted(times[:40]), *times[40:]]):
        words = [f"{number}.{place}" + "x" * chance.choice([0, 0, 0, 300]) for place in range(chance.randint(1, 4))]
        await arrive(db, *words, at=at, app_id=chance.randint(1, 3), process=chance.choice(["web.1", "web.2"]))
        if number >= 40:
            await turn_somewhere(db, chance)


async def turn_somewhere(db: Database, chance: random.Random) -> None:
    now = NOON + chance.randrange(60) * timedelta(minutes=5)
    sizes = Sizes(target=chance.choice([400, 1500]), small=chance.choice([300, 1500]), many=chance.choice([2, 3, 5]))
    await turn(db, now=chance.choice([now, NEXT_DAY]), app_id=chance.randint(1, 3), sizes=sizes)


@pytest.mark.parametrize("seed", range(6))
async def test_pages_hold_each_line_once_and_in_order_while_chunks_are_merged_between_them(
    store: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_FIRST_FETCH", 2)
    chance = random.Random(seed)
    await scatter(store, chance)
    expected = await listed(store)
    assert expected == sorted(expected, key=lambda line: line.place, reverse=True)

    found: list[KeptLine] = []
    after: Key | None = None
    while after or not found:
        async with store.read() as conn:
            page = await chunks.latest(conn, Wanted(), after=after, limit=chance.randint(1, 12))
        found += page.items
        after = page.next
        await turn_somewhere(store, chance)
        if after is None:
            break

    assert found == expected
    assert any(is_merged for _, is_merged in await kept(store))


@pytest.mark.parametrize("seed", range(2))
async def test_the_lines_around_each_line_are_the_same_before_and_after_merging(store: Database, seed: int) -> None:
    chance = random.Random(seed)
    await scatter(store, chance)
    of_dyno = [line for line in reversed(await listed(store)) if line.app == "shop" and line.process == "web.1"]

    for number in sorted(chance.sample(range(len(of_dyno)), 12)):
        own = of_dyno[number].place
        async with store.read() as conn:
            found = await chunks.around(conn, 1, own.received_at, own.chunk_id, own.number, "web.1", before=3, after=3)
        within = timedelta(hours=1)
        near = [line for line in of_dyno if abs(line.place.received_at - own.received_at) <= within]
        at = near.index(of_dyno[number])
        assert found == near[max(0, at - 3) : at + 4]
        await turn_somewhere(store, chance)


# -- who merges, and dies --------------------------------------------------------------------------------------------


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


# -- the plan --------------------------------------------------------------------------------------------------------

there = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 120), st.sampled_from([0, 0, 0, 3])),  # when, bytes, seconds if merged
    max_size=40,
)


def span(run: Sequence[Candidate]) -> tuple[tuple[datetime, UUID], tuple[datetime, UUID]]:
    """The keys between which their parts lie."""
    last = UUID(int=2**128 - 1)
    return (run[0].received_at, run[0].id), max((one.ended_at, last if one.merged else one.id) for one in run)


@given(there, st.booleans())
def test_a_plan_makes_runs_of_small_neighbours_and_no_two_merged_chunks_overlap(
    there: list[tuple[int, int, int]], over: bool
) -> None:
    sizes = Sizes(target=200, small=100, many=4)
    candidates: list[Candidate] = []
    free_from = 0  # merged chunks do not overlap to begin with
    for at, size, lasts in sorted(there):
        is_merged = lasts > 0 and at >= free_from
        ended = at + lasts if is_merged else at
        free_from = ended + 1 if is_merged else free_from
        candidates.append(Candidate(NOON + at * SECOND, new_id(), is_merged, NOON + ended * SECOND, size))

    planned = plan(candidates, over=over, sizes=sizes)

    left = [[one] for one in candidates if one.merged and not any(one in group for group in planned.groups)]
    spans = sorted(map(span, [*planned.groups, *left]))
    assert all(ends < begins for (_, ends), (begins, _) in pairwise(spans))
    for group in planned.groups:
        at = candidates.index(group[0])
        assert list(group) == candidates[at : at + len(group)]
        assert len(group) > 1
        assert all(one.size <= sizes.small for one in group)
        assert sum(one.size for one in group[:-1]) <= sizes.target or group[-1].received_at <= span(group[:-1])[1][0]
    assert planned.resume is None or not over
