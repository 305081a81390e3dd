"""Whoever reads while chunks are merged sees every line, once, in its order; and no plan lets merged chunks overlap."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arriving import NEXT_DAY, NOON, SECOND, arrive, arrive_each, kept, listed, turn
from service.store import chunks
from service.store.chunks import KeptLine, Wanted
from service.store.database import Database
from service.store.ids import new_id
from service.store.merging import Candidate, Sizes, plan
from service.store.pages import Key

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


@pytest.mark.parametrize("seed", range(4))
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
async def test_the_lines_around_each_line_are_the_same_before_and_after_merging(
    store: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_FIRST_FETCH", 2)
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


# -- the plan --------------------------------------------------------------------------------------------------------

there = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 120), st.sampled_from([0, 0, 0, 3])),  # when, bytes, seconds if merged
    max_size=40,
)


def span(run: Sequence[Candidate]) -> tuple[tuple[datetime, UUID], tuple[datetime, UUID]]:
    """The keys between which their parts lie."""
    last = UUID(int=2**128 - 1)
    return (run[0].received_at, run[0].id), max((one.ended_at, last if one.merged else one.id) for one in run)


@settings(max_examples=300)
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
