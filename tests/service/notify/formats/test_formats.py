"""All formats: their payloads for every type, as they were looked at once and found good, and what the services document.

`golden/` is written anew by `GOLDEN=write pytest tests/service/notify/formats`; read the difference before it is committed.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.notify.formats import FORMATS
from service.notify.notification import DIGEST, DISABLED, RESOLVED, SILENCE_ENDED, Notification

from . import documented
from .shape import wrong
from .told import ALL_TYPES, AT, HOSTILE, HUGE, INCIDENT, URL, notification, spoilt

GOLDEN = Path(__file__).parent / "golden"
SHAPES = {
    "slack": documented.SLACK,
    "discord": documented.DISCORD,
    "teams": documented.TEAMS,
    "pagerduty": documented.PAGERDUTY,
    "apprise": documented.APPRISE,
}
KEPT = ("incident.opened", RESOLVED, DIGEST, SILENCE_ENDED, DISABLED)


def rendered(format: str, told: Notification) -> Any:
    return json.loads(FORMATS[format](told))


def test_every_format_has_a_shape_that_its_service_documents() -> None:
    assert set(FORMATS) == {"standard", *SHAPES}


@pytest.mark.parametrize("format", FORMATS)
def test_the_payloads_are_those_that_were_found_good(format: str) -> None:
    told = {type: notification(type) for type in KEPT}
    if format == "standard":  # which holds all of each incident
        told = {type: replace(one, incidents=one.incidents[:2]) for type, one in told.items()}
    found = {type: rendered(format, one) for type, one in told.items()}
    file = GOLDEN / f"{format}.json"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")

    assert found == json.loads(file.read_text())


@pytest.mark.parametrize("type", ALL_TYPES)
@pytest.mark.parametrize("format", SHAPES)
def test_every_type_has_the_shape_that_the_service_documents(format: str, type: str) -> None:
    assert wrong(rendered(format, notification(type)), SHAPES[format]) == []


@pytest.mark.parametrize(
    "text", [HOSTILE, HUGE, "<", "```", "🙂" * 5000, "x" * 20_000, "&" * 5000], ids=lambda t: t[:4]
)
@pytest.mark.parametrize("format", SHAPES)
def test_no_text_of_a_log_leaves_the_shape(format: str, text: str) -> None:
    for type in ALL_TYPES:
        assert wrong(rendered(format, notification(type, spoilt(text))), SHAPES[format]) == [], type


@pytest.mark.parametrize("format", FORMATS)
def test_an_incident_of_which_little_is_known_can_be_told(format: str) -> None:
    for little in ({}, {"title": "x"}, dict.fromkeys(INCIDENT)):
        for type in ALL_TYPES:
            if type not in (DIGEST, SILENCE_ENDED, DISABLED):
                FORMATS[format](Notification(type, AT, little, ""))


@pytest.mark.parametrize("format", SHAPES)
def test_what_was_cut_is_counted(format: str) -> None:
    told = rendered(format, notification("incident.opened", diagnosis="x" * 20_000, remedies=["y" * 200] * 200))

    text = json.dumps(told, ensure_ascii=False)
    assert " more characters" in text
    assert " more lines" in text


def test_a_digest_names_the_worst_first_and_counts_the_rest() -> None:
    told = rendered("apprise", notification(DIGEST))

    assert told["title"] == "30 incidents at once in 30 apps"
    assert "[critical] shop-0: web of raxx-api-prod keeps crashing\n[error] shop-1:" in told["body"]
    assert "… and 10 more" in told["body"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_incident_that_stands_for_several_is_not_told_as_the_one(format: str) -> None:
    for type in (DIGEST, SILENCE_ENDED):
        assert rendered(format, notification(type, standing_in=True)) == rendered(format, notification(type))


def test_of_much_evidence_the_first_and_the_newest_are_shown() -> None:
    evidence = [{**INCIDENT["evidence"][0], "message": f"line {n}"} for n in range(21)]
    body = rendered("apprise", notification("incident.opened", evidence=evidence))["body"]

    shown = [line.partition("web.1 ")[2] for line in body.splitlines() if "web.1 line" in line]
    assert shown == ["line 0", "line 16", "line 17", "line 18", "line 19", "line 20"]
    assert "… 15 more" in body


def test_in_slack_no_text_is_a_mention_a_link_or_the_end_of_a_code_block() -> None:
    for type in ALL_TYPES:
        for text in texts(rendered("slack", notification(type, spoilt(HOSTILE)))):
            assert not re.search("[<>]|&(?!amp;|lt;|gt;)", text), text
            if "\n```\n" in text:
                assert text.count("```") == 2


def test_in_discord_no_text_is_markup_or_the_end_of_a_code_block() -> None:
    for type in ALL_TYPES:
        told = rendered("discord", notification(type, spoilt(HOSTILE)))
        for text in texts(told["embeds"][0]["fields"]):
            if text.startswith("```\n"):
                assert text.count("```") == 2
            elif not text.startswith("https://"):
                assert not re.search(r"(?<!\\)(\\\\)*[*_~`|>#\[<@:]", text), text
        assert told["allowed_mentions"] == {"parse": []}


def test_in_teams_nothing_is_computed() -> None:
    told = rendered("teams", notification("incident.opened", spoilt(HOSTILE)))

    runs = [run["text"] for block in told["attachments"][0]["content"]["body"] for run in block["inlines"]]
    assert not any("{{" in text for text in runs)


@pytest.mark.parametrize("format", SHAPES)
def test_no_control_character_of_a_log_is_left(format: str) -> None:
    for text in texts(rendered(format, notification("incident.opened", spoilt(HOSTILE)))):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", text)


def texts(value: Any) -> Iterable[str]:
    """Every text in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


def test_a_link_is_http_or_none() -> None:
    told = rendered("teams", notification("incident.opened", runbook="javascript:alert(1)"))

    assert [one["url"] for one in told["attachments"][0]["content"]["actions"]] == [URL]
