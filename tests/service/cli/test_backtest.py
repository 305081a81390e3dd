"""backtest: the incidents that rules would have opened, over files and over what the service has kept."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keeping import SAMPLES, keep
from service.cli import batches
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store.database import Database
from vocabulary import crash, message, router_line, state

from .conftest import Run

CRASH_LOOP = str(SAMPLES / "scenarios" / "crash_loop.log")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def opened(ran: Any) -> list[tuple[str, str]]:
    return [(one["rule"], one["opened_at"][11:16]) for one in ran.json()["incidents"]]


async def test_a_files_incidents_are_shown_with_their_times_and_exit_status_1(run: Run) -> None:
    ran = await run("backtest", CRASH_LOOP, "--json")
    assert ran.status == 1
    assert opened(ran) == [("crash_loop", "12:01")]
    [one] = ran.json()["incidents"]
    assert (one["subject"], one["severity"], one["count"]) == ("web", "critical", 12)
    assert [gap["reason"] for gap in one["gaps"]] == ["silent"]  # the cool-off
    assert one["resolved_at"] == "2026-05-11T12:39:15.952702Z"
    assert one["reason"] == "every dyno of it has been up, or scaled away, for 5 minutes"
    shown = await run("backtest", CRASH_LOOP)
    assert "crash_loop" in shown.out
    assert "75 lines in" in shown.err


async def test_without_incidents_the_exit_status_is_0(run: Run) -> None:
    ran = await run("backtest", str(SAMPLES / "scenarios" / "healthy_day.log"))
    assert (ran.status, ran.out) == (0, "no incidents\n")


async def test_a_number_is_tried_out_and_so_is_a_file_of_rules(run: Run, tmp_path: Path) -> None:
    assert (await run("backtest", CRASH_LOOP, "--set", "crash_loop.count=9")).status == 1  # of the H10s
    tried = await run("backtest", CRASH_LOOP, "--set", "crash_loop.count=9", "--set", "crash_loop.also={}", "--json")
    assert tried.status == 1
    assert "crash_loop: also: match: missing" in tried.err
    config = tmp_path / "other.toml"
    config.write_text('[[rules]]\nname = "crash_loop"\nenabled = false\n')
    assert (await run("backtest", CRASH_LOOP, "--config", str(config))).status == 0
    spans = ("--set", "boot_timeout.within=5m", "--set", 'request_timeouts.quiet="1m"')
    assert (await run("backtest", CRASH_LOOP, *spans)).status == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to read; expected files, or --app APP"),
        ([CRASH_LOOP, "--since", "7d"], "--since and --until are for what the service has kept"),
        ([CRASH_LOOP, "--set", "count=3"], "expected RULE.FIELD=VALUE"),
        ([CRASH_LOOP, "--set", "crash_lop.count=3"], "expected crash_loop, or a detector for a new rule"),
        (["/nowhere.log"], "/nowhere.log cannot be read"),
    ],
)
async def test_a_wrong_use_is_one_line(run: Run, arguments: list[str], said: str) -> None:
    ran = await run("backtest", *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def test_what_the_service_has_kept_is_read_anew_and_compared_with_what_was_opened_live(
    here: Run, emptied_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.bodies._PAGE_BYTES", 600)  # several pages
    db = Database.open(emptied_url)
    for n in range(12):
        await keep(db, "shop", router_line(ago(60 - n / 10), code="H12", dyno="web.1"))
    begun = ago(30)
    loop = [crash("web.1", begun), state("web.1", "crashed", "starting", begun + timedelta(seconds=1))]
    await keep(db, "shop", *loop, crash("web.1", ago(29)), message("app", "web.1", "x", ago(1)))
    watch = Watch(db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(LONG_AGO):
        pass
    await db.close()

    same = await here("backtest", "--app", "shop", "--since", "1h", "--json")
    assert [one["rule"] for one in same.json()["incidents"]] == ["request_timeouts", "crash_loop"]
    assert all(one["live"] for one in same.json()["incidents"])
    assert (same.json()["lines"], same.json()["only_live"], same.status) == (16, [], 1)

    other = await here(
        "backtest", "--app", "shop", "--set", "crash_loop.count=3", "--set", "boot_timeout.enabled=false"
    )
    [crash_line] = [line for line in other.out.splitlines() if "crash_loop" in line]
    assert "only" in crash_line
    assert other.status == 1


async def test_an_app_that_is_not_there_is_one_line(here: Run) -> None:
    ran = await here("backtest", "--app", "nobody")
    assert (ran.status, ran.err) == (1, "drainwatch: there is no app 'nobody'; `drainwatch apps` lists them\n")


def test_files_are_cut_between_messages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BATCH_BYTES", 300)
    raw = b"".join(message("app", "web.1", f"line {n}\n on two rows", "12:00") for n in range(50))
    pieces = list(batches._bodies_of(raw))
    assert b"".join(pieces) == raw
    assert len(pieces) > 5
    assert all(piece.split(b" ", 1)[0].isdigit() for piece in pieces)
    text = b"".join(b"2026-05-11T12:00:00+00:00 app[web.1]: line %d\n  and on\n" % n for n in range(50))
    pieces = list(batches._texts_of(text))
    assert b"".join(pieces) == text
    assert all(piece.startswith(b"2026") for piece in pieces)


def test_what_is_no_message_costs_no_line_before_or_after_it() -> None:
    raw = message("app", "web.1", "a", "12:00") + b"garbage" + message("app", "web.1", "b", "12:01")
    assert b"".join(batches._bodies_of(raw)) == raw
