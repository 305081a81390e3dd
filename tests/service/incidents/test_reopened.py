"""An incident that is reopened: it counts on, and so does a backtest of the same lines."""

from datetime import UTC, datetime

from folding import APP, ORIGIN, batch_of
from keeping import keep
from service.cli.tested import lives
from service.detect.backtest import backtest
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from vocabulary import crash, router_line, seconds_after, state, up

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def of(rule: str, db: Database, *batches: list[bytes]) -> Incident:
    """The rule's one incident, once each of the batches is folded."""
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    for batch in batches:
        await keep(db, APP, *batch)
        while await watch.turn(LONG_AGO):
            pass
    async with db.read() as conn:
        [found] = await incidents.page(conn, rule=rule, limit=10)
    return found


def by_backtest(rule: str, *batches: list[bytes]) -> list[tuple[datetime | None, int]]:
    """The end and count of the same by a backtest over the batches as they came."""
    rules = [one for one in RuleBook().for_app(APP, "production") if one.name == rule]
    told = backtest(rules, [batch_of(*batch) for batch in batches], origin=ORIGIN)
    return [(one.cleared_at, one.count) for one in lives(told)]


def timeouts(since: str, number: int) -> list[bytes]:
    return [router_line(seconds_after(since, n), code="H12") for n in range(number)]


def crashes(first: str, then: str) -> list[bytes]:
    return [crash("web.1", first), state("web.1", "crashed", "starting", f"{first}:01"), crash("web.1", then)]


async def test_what_is_reopened_counts_on_with_each_new_match(db: Database) -> None:
    before = [timeouts("12:00", 40), [router_line("12:06")]]
    assert (await of("request_timeouts", db, *before)).status == "resolved"

    reopened = await of("request_timeouts", db, timeouts("12:07", 10))
    assert (reopened.status, reopened.count) == ("open", 50)
    assert (await of("request_timeouts", db, timeouts("12:08", 2))).count == 52
    assert by_backtest("request_timeouts", *before, timeouts("12:07", 10), timeouts("12:08", 2)) == [(None, 52)]


async def test_what_a_late_line_has_undone_the_end_of_is_reopened_by_the_next_match(db: Database) -> None:
    before = [[*crashes("12:00", "12:01"), up("web.1", "12:02")], [router_line("12:08")], [crash("web.1", "12:06:30")]]
    assert (await of("crash_loop", db, *before)).status == "resolved"

    after = [state("web.1", "crashed", "starting", "12:08:30"), crash("web.1", "12:09")]
    reopened = await of("crash_loop", db, after)
    assert reopened.status == "open"
    assert by_backtest("crash_loop", *before, after) == [(None, reopened.count)]


async def test_what_is_reopened_once_more_after_a_late_line_has_undone_its_end_counts_all_it_has_counted(
    db: Database,
) -> None:
    first = [[*crashes("12:00", "12:01"), up("web.1", "12:02")], [router_line("12:08")]]
    second = [[*crashes("12:10", "12:11"), up("web.1", "12:12")], [router_line("12:18")]]
    undone = [
        [crash("web.1", "12:16:30")],
        [state("web.1", "crashed", "starting", "12:18:30"), crash("web.1", "12:19")],
    ]

    live = await of("crash_loop", db, *first, *second, *undone)
    assert (live.status, live.count) == ("open", 6)
    assert by_backtest("crash_loop", *first, *second, *undone) == [(None, 6)]
