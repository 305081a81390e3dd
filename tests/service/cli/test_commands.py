import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import requires
from pathlib import Path

import pytest

from keeping import keep
from service.notify.signature import new_secret, signature_headers
from service.store.database import Database
from vocabulary import router_line

from .conftest import Run


async def test_a_drain_is_added_listed_rotated_and_removed(here: Run) -> None:
    added = await here("drain", "add", "raxx-api-prod", "--environment", "production")
    listed = await here("drain", "list")
    rotated = await here("drain", "rotate", "1", "--json")
    removed = await here("drain", "remove", "1")

    assert added.out.startswith("heroku drains:add http://raxx-api-prod:")
    assert added.out.endswith("/drain -a raxx-api-prod\n")
    assert "shown only now" in added.err
    assert listed.out.splitlines()[1].split()[:3] == ["1", "raxx-api-prod", "production"]
    assert len(rotated.json()["secret"]) == 32
    assert [one.status for one in (added, listed, rotated, removed)] == [0, 0, 0, 0]
    assert "no drains yet" in (await here("drain", "list")).out


async def test_a_token_stands_alone_on_standard_output(here: Run) -> None:
    made = await here("token", "create", "--scope", "read", "--name", "grafana")

    assert made.out.startswith("dw_")
    assert len(made.out.split()) == 1
    assert [one["name"] for one in (await here("token", "list", "--json")).json()["items"]] == ["grafana"]
    assert (await here("token", "revoke", "1")).status == 0
    assert "no tokens yet" in (await here("token", "list")).out


async def test_a_webhook_is_added_tried_listed_rotated_and_removed(here: Run) -> None:
    added = await here("webhook", "add", "https://hooks.example.com/x", "--match", "severity>=error")
    tried = await here("webhook", "test", "1", "--json")
    deliveries = await here("webhook", "deliveries", "1")
    rotated = await here("webhook", "rotate", "1")
    listed = await here("webhook", "list")
    removed = await here("webhook", "remove", "1")

    assert added.out.startswith("whsec_")
    assert tried.json()["webhook_id"] in deliveries.out
    assert "webhook.test" in deliveries.out
    assert rotated.out.startswith("whsec_")
    assert "severity>=error" in listed.out
    assert [one.status for one in (added, tried, deliveries, rotated, listed, removed)] == [0] * 6


async def test_what_a_webhook_wants_is_said_when_it_is_added_and_shown_in_the_list(here: Run) -> None:
    options = [
        "--min-severity",
        "error",
        "--type",
        "incident.opened",
        "--type",
        "incident.resolved",
        "--no-escalations",
    ]
    options += ["--repeat", "30m", "--quiet", "22:00-07:00 UTC", "--format", "pagerduty", "--routing-key", "canary"]
    added = await here("webhook", "add", "https://events.example.com/v2/enqueue", *options)
    listed = await here("webhook", "list")
    changed = await here("webhook", "change", "1", "--match", "app:shop", "--repeat", "none", "--type", "none")
    disabled = await here("webhook", "disable", "1")
    enabled = await here("webhook", "enable", "1", "--json")
    wrong = await here("webhook", "add", "https://hooks.example.com/x", "--repeat", "often")

    assert [one.status for one in (added, listed, disabled, enabled, wrong)] == [0, 0, 0, 0, 2]
    assert "from error on; incident.opened, incident.resolved; no escalations; reminded every 1800 s" in listed.out
    assert "quiet 22:00-07:00 UTC" in listed.out
    assert changed.err.endswith("is told of: app:shop; from error on; no escalations; quiet 22:00-07:00 UTC\n")
    assert "disabled: disabled by hand" in disabled.err
    assert enabled.json()["enabled"] is True
    assert "canary" not in added.out + added.err + listed.out + enabled.out


async def test_a_delivery_is_sent_again_by_its_webhook_id(here: Run) -> None:
    await here("webhook", "add", "https://hooks.example.com/x")
    id = (await here("webhook", "test", "1", "--json")).json()["webhook_id"]
    pending = await here("webhook", "redeliver", id)
    await here("webhook", "disable", "1")
    await here("webhook", "enable", "1")
    sent = await here("webhook", "redeliver", id)

    assert (pending.status, "is pending" in pending.err) == (1, True)
    assert (sent.status, id in sent.err) == (0, True)


async def test_a_request_that_a_receiver_refused_is_looked_at_from_files(run: Run, tmp_path: Path) -> None:
    secret = new_secret()
    body, headers, key = tmp_path / "body", tmp_path / "headers", tmp_path / "secret"
    body.write_bytes(b'{"type":"webhook.test"}')
    said = signature_headers("msg_1", body.read_bytes(), secrets=[secret], at=datetime.now(UTC))
    headers.write_text("".join(f"{name}: {value}\n" for name, value in said.items()))
    key.write_text(f"{secret}\n")
    good = await run("webhook", "verify", str(body), str(headers), "--secret-file", str(key))
    body.write_bytes(body.read_bytes() + b"\n")
    changed = await run("webhook", "verify", str(body), str(headers), "--secret-file", str(key))
    missing = await run("webhook", "verify", str(body), str(headers), "--secret-file", str(tmp_path / "none"))

    assert (good.status, good.out) == (0, "msg_1 is good\n")
    assert (changed.status, "a newline was added" in changed.out) == (1, True)
    assert (missing.status, "cannot be read" in missing.err) == (1, True)
    assert secret not in good.out + changed.out + missing.err


async def test_errors_are_a_table_for_people_and_the_apis_answer_for_programs(here: Run, emptied_url: str) -> None:
    db = Database.open(emptied_url)
    await keep(db, "shop", router_line(code="H12", path="/api/\x1b[2J", service="30001ms"))
    await db.close()

    shown = await here("errors", "--app", "shop")
    answered = await here("errors", "--json")

    assert "H12" in shown.out
    assert "Request timeout GET /api/·[2J 503 30001 ms" in shown.out
    assert answered.json()["items"][0]["code"] == "H12"
    assert (await here("errors", "--since", "yesterday")).status == 1
    assert "no errors" in (await here("errors", "--code", "R14")).out


async def test_what_the_api_refuses_is_one_line_and_status_1(here: Run) -> None:
    for arguments, reason in (
        (("drain", "add", "Shop", "--environment", "production"), "app is 'Shop'; expected an app's name"),
        (("drain", "rotate", "7"), "there is no drain 7"),
        (("webhook", "add", "http://127.0.0.1/"), "private"),
        (("errors", "--since", "x"), "since is 'x'; expected an RFC 3339 time"),
        (("ack", "../x"), "there is nothing at"),
        (("ack", "00000000-0000-7000-8000-000000000000"), "there is no incident"),
    ):
        ran = await here(*arguments)
        assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1), ran.err
        assert ran.err.startswith("drainwatch: ")
        assert reason in ran.err


async def test_a_wrong_use_is_one_line_and_status_2(run: Run) -> None:
    for arguments in (("nope",), ("drain", "add"), ("drain", "rotate", "x"), ("errors", "--limit", "0"), ("--nope",)):
        ran = await run(*arguments)
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
        assert "--help" in ran.err


async def test_a_wrong_setting_is_one_line_and_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, command in (
        ("PORT", "x", ("serve",)),
        ("PORT", "x", ("drain", "list")),
        ("DRAINWATCH_URL", "example.com", ("drain", "list")),
        ("DRAINWATCH_URL", "http://127.0.0.1:1", ("drain", "list")),
        ("DATABASE_URL", "mysql://x", ("migrate",)),
        ("DATABASE_URL", "postgres://127.0.0.1:1/x", ("migrate",)),
    ):
        with monkeypatch.context() as given:
            given.setenv(name, value)
            ran = await run(*command)
        assert (ran.status, ran.out) == (1, ""), (name, ran)
        said = [line for line in ran.err.splitlines() if line.startswith("drainwatch: ")]
        assert len(said) == 1
        assert name in said[0] or "127.0.0.1:1" in said[0]


async def test_with_a_url_and_no_token_the_one_that_serve_left_is_used(
    there: Run, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRAINWATCH_TOKEN")
    refused = await there("drain", "list")
    (home / "admin-token").write_text("dw_admin_of_the_service\n")  # type: ignore[operator]
    listed = await there("drain", "list")

    assert (refused.status, "DRAINWATCH_TOKEN is not set" in refused.err) == (1, True)
    assert listed.status == 0


def test_help_waits_for_no_import_but_typer() -> None:
    program = (
        "import sys; from service.cli import run; run(['--help']); print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "replay" in ran.stdout
    imported = ran.stderr.split()
    rooms = {name for name in imported if name.startswith(("service.", "parsers", "migrations"))}
    assert {name for name in rooms if not name.startswith("service.cli.")} == {"service.cli", "service.errors"}
    needed = {re.split(r"\W", one.replace("-", "_"))[0].lower() for one in requires("drainwatch") or ()}
    assert "pydantic" in needed
    assert needed & set(imported) == {"typer"}
