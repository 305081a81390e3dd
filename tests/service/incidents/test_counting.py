"""Folds are counted, with their time."""

from datetime import UTC, datetime

from counting import Gained
from keeping import keep
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store.database import Database
from vocabulary import up


async def test_each_fold_is_counted_with_its_chunks_and_its_time(emptied_url: str) -> None:
    db = Database.open(emptied_url)
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    for app in ("shop", "shop", "blog"):
        await keep(db, app, up("web.1"))
    gained = Gained("fold_seconds_count", "folded_chunks_total", "fold_failures_total")

    await watch.turn(datetime(2020, 1, 1, tzinfo=UTC))

    assert gained() == [2, 3, 0]
    await db.close()
