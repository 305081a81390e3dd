from datetime import datetime, timedelta

import pytest

from keeping import keep
from service.cli.explain import _at
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store.database import Database
from vocabulary import NOON, boot_timeout

from .conftest import Run


async def test_a_silence_is_previewed_added_listed_and_removed(here: Run) -> None:
    previewed = await here("silence", "app:shop", "--preview")
    added = await here("silence", "app:shop", "--for", "2h", "--comment", "deploying")
    listed = await here("silences", "list")
    as_json = (await here("silences", "list", "--json")).json()["items"]
    removed = await here("silences", "remove", "1")

    assert "would have hushed 0 incidents, 0 notifications" in previewed.err
    assert "silence 1 holds until" in added.err
    assert "deploying" in listed.out
    starts, ends = (datetime.fromisoformat(as_json[0][name]) for name in ("starts_at", "ends_at"))
    assert timedelta(hours=2) - timedelta(seconds=20) < ends - starts <= timedelta(hours=2)
    assert removed.status == 0
    assert "no silences" in (await here("silences", "list")).out
    assert "ended" in (await here("silences", "list", "--all")).out


async def test_what_is_no_silence_is_said_in_one_line(here: Run) -> None:
    unbound = await here("silence", "severity>=error")
    wrong = await here("silence", "app:shop", "--for", "soon")

    assert (unbound.status, wrong.status) == (1, 2)
    assert "app:NAME or rule:NAME" in unbound.err
    assert "expected a time, as in 30m, 2h or 7d" in wrong.err


async def test_a_note_and_why_nobody_was_told(here: Run, emptied_url: str) -> None:
    db = Database.open(emptied_url)
    await keep(db, "shop", boot_timeout("web.1", "12:00"))
    await Watch(db, RuleBook(), lambda app: "FLAG_", holder="one").turn(NOON)
    await db.close()
    incident = (await here("incidents", "--json")).json()["items"][0]["id"]

    assert "boot_timeout" in (await here("incidents", "rule:boot_timeout app:shop")).out
    assert (await here("incidents", "rule:boot_timeout -app:shop")).out == "no incidents\n"

    assert (await here("note", incident, "it is the database")).status == 0
    assert "it is the database" in (await here("incidents", incident)).out
    assert "nothing was decided yet" in (await here("explain", incident)).out
    at = await here("explain", "--app", "shop", "--at", "2026-05-11T12:30:00Z")
    assert "boot_timeout of web stood since" in at.out
    assert (await here("explain")).status == 2
    assert (await here("explain", "--app", "shop")).status == 2


@pytest.mark.parametrize(("said", "meant"), [("03:12", "12T03:12:00"), ("23:59:30", "11T23:59:30"), ("2h", "2h")])
def test_a_time_of_day_is_the_last_one(said: str, meant: str) -> None:
    now = datetime(2026, 5, 12, 3, 30).astimezone()
    assert _at(said, now=now).removeprefix("2026-05-").startswith(meant)
