"""Bodies, oldest first: each commit's once, whether its chunk was merged meanwhile or not, page by page."""

from datetime import UTC, datetime

import pytest

from arriving import NOON, SECOND, SOON, arrive, arrive_each, turn
from parsers.frame import read_lines
from service.store import bodies
from service.store.database import Database

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


async def read(store: Database, *, since: datetime = LONG_AGO, until: datetime = SOON, between: bool = False) -> str:
    """The texts of all bodies, page by page; merged in between where asked."""
    texts, after = "", None
    while True:
        async with store.read() as conn:
            page = await bodies.arrived(conn, 1, since=since, until=until, after=after)
        texts += "".join(line.text for one in page.items for line in read_lines(one.body, one.received_at))
        assert all(one.lines == len(list(read_lines(one.body, one.received_at))) for one in page.items)
        after = page.next
        if after is None:
            return texts
        if between:
            await turn(store, now=SOON)
            between = False


@pytest.mark.parametrize("page_bytes", [1, 150, 1 << 20])
async def test_all_come_once_and_in_the_order_of_arrival(
    store: Database, page_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_PAGE_BYTES", page_bytes)
    monkeypatch.setattr(bodies, "_CHUNKS_AT_ONCE", 3)
    await arrive_each(store, *"abcdef")
    await arrive(store, "x", app_id=2)
    assert await read(store) == "abcdef"
    await turn(store, now=SOON)
    await arrive_each(store, *"ghij", since=NOON + 60 * SECOND)
    assert await read(store) == "abcdefghij"


async def test_what_is_merged_between_two_pages_is_neither_lost_nor_doubled(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_PAGE_BYTES", 150)
    await arrive_each(store, *"abcdefgh")
    assert await read(store, between=True) == "abcdefgh"


async def test_since_is_included_and_until_is_not(store: Database) -> None:
    await arrive_each(store, *"abcdef")
    span = {"since": NOON + SECOND, "until": NOON + 4 * SECOND}
    assert await read(store, **span) == "bcd"
    await turn(store, now=SOON)
    assert await read(store, **span) == "bcd"


async def test_an_app_without_lines_has_one_empty_page(store: Database) -> None:
    async with store.read() as conn:
        page = await bodies.arrived(conn, 3, since=LONG_AGO, until=SOON, after=None)
    assert (page.items, page.next) == ((), None)
