from datetime import UTC, datetime

from keeping import drain_of
from service.store import drain_counts
from service.store.database import Database
from service.store.drain_counts import NO_DRAIN, Tally

from .conftest import Run


async def test_the_list_shows_what_each_drain_has_sent_and_what_it_lost(here: Run, emptied_url: str) -> None:
    db = Database.open(emptied_url)
    drain = await drain_of(db, "shop")
    await drain_of(db, "blog")
    since = datetime(2026, 5, 11, tzinfo=UTC)
    sent = Tally(drain.app_id, drain.id, frames=1200, lines=34567, repeats=2, heard_at=since, losses={since: 5})
    sent.refusals, sent.refused_at = {413: 7}, since
    stranger = Tally(drain.app_id, NO_DRAIN, refusals={401: 3}, refused_at=since)
    async with db.begin() as conn:
        await drain_counts.add(conn, [sent, stranger])
    await db.close()

    heading, shop, blog = (await here("drain", "list")).out.splitlines()

    assert " ".join(heading.split()[3:]) == "LAST HEARD FRAMES LINES REPEATS REFUSED LOST SKEW ADDED LOGPLEX TOKEN"
    assert "1,200   34,567  2        3 × 401, 7 × 413  5     –" in shop
    assert blog.split()[3:9] == ["–", "0", "0", "0", "0", "0"]
