"""errors, stats, search and tail, as one types them."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeping import keep
from listening import ADMIN, web_process
from service.cli import show
from service.cli.errors import bar, sparks
from service.store.database import Database
from vocabulary import message, router_line

from .conftest import Run


def now() -> datetime:
    return datetime.now(UTC)


async def kept(url: str, *messages: bytes, app: str = "shop") -> None:
    db = Database.open(url)
    await keep(db, app, *messages)
    await db.close()


async def test_errors_are_asked_in_the_filter_language(here: Run, emptied_url: str) -> None:
    await kept(emptied_url, router_line(code="H12", path="/a", service="9ms"), router_line(code="H13", path="/b"))

    shown = await here("errors", "path:/a service_ms>5")
    wrong = await here("errors", "severity>awful")

    assert "/a" in shown.out
    assert "/b" not in shown.out
    assert (wrong.status, wrong.err.count("\n")) == (1, 1)
    assert "wrong at column 10: expected a severity" in wrong.err


async def test_stats_are_bars_and_columns(here: Run, emptied_url: str) -> None:
    lines = [router_line(now() - timedelta(minutes=n), code="H12", path=f"/orders/{n}") for n in range(4)]
    await kept(emptied_url, *lines, router_line(now(), code="H13", path="/x"))

    shown = await here("stats", "--since", "15m")
    by_path = await here("stats", "--by", "path", "--since", "15m", "--", "-path:/x")

    _, h12, h13 = shown.out.splitlines()
    assert h12.split()[:3] == ["H12", "4", "█" * 24]
    assert h13.split()[:3] == ["H13", "1", "█" * 6]
    assert "█" in h12.split()[-1]
    assert by_path.out.splitlines()[1].split()[:2] == ["/orders/:id", "4"]
    assert len((await here("stats", "--json")).json()["items"]) in (120, 122)
    assert "no errors" in (await here("stats", "--app", "nobody")).out


async def test_a_search_goes_from_page_to_page(here: Run, emptied_url: str) -> None:
    lines = [message("app", "web.1", f"line {n} \x1b[2J") for n in range(8)]
    await kept(emptied_url, *lines, message("app", "web.2", "ERROR needle"))

    found = await here("search", "line", "--limit", "3")
    answered = await here("search", "needle OR line -dyno:web.1", "--app", "shop", "--json")

    assert [text.split()[-2] for text in found.out.splitlines()] == ["7", "6", "5"]
    assert "\x1b" not in found.out
    assert "3 lines; --limit" in found.err
    assert [one["message"] for one in answered.json()["items"]] == ["ERROR needle"]
    assert "no lines" in (await here("search", "nothing")).err


@asynccontextmanager
async def tailing(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DRAINWATCH_")}
    environ |= {"DRAINWATCH_URL": url, "DRAINWATCH_TOKEN": ADMIN, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = "from service.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "tail", *arguments, env=environ, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def told(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    return json.loads(await asyncio.wait_for(process.stdout.readline(), 60))


async def test_a_tail_tells_what_was_and_what_arrives_as_json_where_it_is_piped(emptied_url: str) -> None:
    await kept(emptied_url, router_line(now(), code="H10"), router_line(now(), code="H12"))
    async with web_process(emptied_url) as url, tailing(url, "code:H12", "--since", "5m") as process:
        first = await told(process)
        await kept(emptied_url, router_line(now(), code="H13"), router_line(now(), code="H12", path="/2"))
        second = await told(process)
    async with web_process(emptied_url) as url, tailing(url, "--lines", "--app", "blog", "--since", "1h") as process:
        await kept(emptied_url, message("app", "web.1", "hello", now()), app="blog")
        line = await told(process)

    assert [first["fields"]["path"], second["fields"]["path"]] == ["/", "/2"]
    assert line["message"] == "hello"
    assert process.returncode == 130


async def test_a_tail_goes_on_where_it_was_when_the_service_comes_back(emptied_url: str) -> None:
    async with web_process(emptied_url) as url:
        await kept(emptied_url, router_line(now(), code="H10"))
        tail = tailing(url, "--since", "5m")
        process = await tail.__aenter__()
        seen = [(await told(process))["code"]]
        await kept(emptied_url, router_line(now(), code="H11"))
        seen.append((await told(process))["code"])
    await kept(emptied_url, router_line(now(), code="H12"))
    async with web_process(emptied_url, int(url.rpartition(":")[2])):
        seen.append((await told(process))["code"])
        await tail.__aexit__(None, None, None)

    assert seen == ["H10", "H11", "H12"]


async def test_a_tail_without_a_service_or_with_a_wrong_filter_is_one_line(
    there: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = await there("tail", "severity>awful")
    neither = await there("tail", "--lines", "--code", "H12")
    monkeypatch.setenv("DRAINWATCH_URL", "http://127.0.0.1:1")
    away = await there("tail")

    assert [(one.status, one.err.count("\n")) for one in (wrong, neither, away)] == [(1, 1), (2, 1), (1, 1)]
    assert "column 10" in wrong.err
    assert "is drainwatch running there?" in away.err


def test_bars_and_columns_show_the_least_too() -> None:
    assert (bar(0, 9), bar(1, 1_000_000), bar(5, 10), bar(3, 3)) == ("", "▏", "█" * 12, "█" * 24)
    assert sparks([0, 1, 50, 100]) == " ▁▄█"
    assert sparks([]) == ""


def test_a_line_and_an_event_are_in_the_colour_of_how_bad_they_are() -> None:
    line = {"ts": "2026-05-11T12:00:00Z", "app": "shop", "source": "app", "process": "web.1", "message": "[ERROR] no"}
    event = {**line, "severity": "critical", "dyno": "web.1", "code": "R15", "kind": "dyno_error", "fields": {}}

    assert [span.style for span in show.line(line).spans] == ["dim", "red"]
    assert [span.style for span in show.line({**line, "message": "terror"}).spans] == ["dim"]
    assert [span.style for span in show.event(event).spans][-1] == "bold red"
