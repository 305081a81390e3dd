from datetime import UTC, datetime
from typing import Any

import pytest
from rich.text import Text

from service.cli import show


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Any:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-05-11T12:00:05.123456Z", "14:00:05"),
        ("2026-05-10T12:00:05.123456Z", "10 May 14:00"),
        ("2025-05-11T12:00:05.123456Z", "2025-05-11 14:00"),
        (None, "–"),
    ],
)
def test_a_time_is_local_and_as_short_as_it_can_be(at: str | None, shown: str) -> None:
    assert show.time(at, now=datetime(2026, 5, 11, 20, tzinfo=UTC)) == shown


def test_log_text_cannot_drive_the_terminal() -> None:
    assert show.plain("\x1b[2Jgone\x07 \x9b31m\r\n\u202eabc") == "·[2Jgone· ·31m···abc"


def test_json_is_what_the_api_said_without_characters_that_drive_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    said = {"message": "café \x1b[2J \x9b31m \x7f"}
    show.as_json(said)

    printed = capsys.readouterr().out
    assert json.loads(printed) == said
    assert "café" in printed
    assert not {"\x1b", "\x9b", "\x7f"} & set(printed)


def test_a_table_says_so_when_it_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("id", "name"), [], empty="no drains yet")

    assert capsys.readouterr().out == "no drains yet\n"


def test_a_table_that_is_piped_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("id", "message"), [("1", "x" * 500)], empty="nothing")

    assert capsys.readouterr().out == "ID  MESSAGE\n1   " + "x" * 500 + "\n"


def test_in_a_window_the_last_column_alone_is_cut(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(show, "_WIDE", 20)

    show.table(("id", "message"), [("123456789", "x" * 500), ("1", Text("あ" * 500))], empty="nothing")

    assert capsys.readouterr().out.splitlines() == [
        "ID         MESSAGE",
        "123456789  xxxxxxxx…",
        "1          ああああ…",
    ]


def test_of_a_router_line_its_request_is_shown() -> None:
    fields = {"desc": "Request timeout", "method": "GET", "path": "/api/x", "status": 503, "service_ms": 30001}
    event = {"process": "router", "message": "at=error code=H12 …", "fields": fields}

    assert show.gist(event) == "Request timeout GET /api/x 503 30001 ms"
