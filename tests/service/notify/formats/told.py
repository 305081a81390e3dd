"""Notifications of every type: as they come about, and with text that is hostile to every format there is."""

from datetime import UTC, datetime
from typing import Any

from service.notify.notification import DIGEST, DISABLED, SILENCE_ENDED, TEST, TYPES, Notification

AT = datetime(2026, 5, 11, 12, 4, 0, 123456, UTC)
URL = "https://drainwatch.example.com/v1/incidents/0190a3c0-0000-7000-8000-000000000001"


def event(second: int, message: str) -> dict[str, Any]:
    return {
        "ts": f"2026-05-11T12:00:{second:02}.000000Z",
        "process": "web.1",
        "dyno": "web.1",
        "kind": "dyno_state",
        "message": message,
    }


INCIDENT: dict[str, Any] = {
    "id": "0190a3c0-0000-7000-8000-000000000001",
    "version": 1,
    "rule": "crash_loop",
    "key": "crash_loop/raxx-api-prod/web",
    "app": "raxx-api-prod",
    "environment": "production",
    "subject": "web",
    "severity": "critical",
    "status": "open",
    "title": "web of raxx-api-prod keeps crashing",
    "diagnosis": "The web dynos of raxx-api-prod crash and do not stay up for five minutes.",
    "remedies": ["heroku logs --num 200 --app raxx-api-prod", "heroku rollback --app raxx-api-prod"],
    "verify": "`heroku ps --app raxx-api-prod` shows every web dyno up for more than 5 minutes.",
    "runbook": "https://runbooks.example.com/crash-loop",
    "opened_at": "2026-05-11T12:00:00.000000Z",
    "last_seen_at": "2026-05-11T12:04:00.000000Z",
    "acknowledged_at": None,
    "escalated_at": None,
    "resolved_at": None,
    "count": 2,
    "release": {
        "version": "v42",
        "description": "Deploy 193d1419",
        "actor": "user@example.com",
        "released_at": "2026-05-11T11:58:25.000000Z",
        "seconds_before": 95,
    },
    "evidence": [event(0, "State changed from starting to crashed"), event(40, "Process exited with status 1")],
    "context": [],
    "traceback": ["Traceback (most recent call last):", "ImportError: No module named 'shop'"],
    "checks": [],
}
SILENCE = {
    "id": 7,
    "match": "app:raxx-* rule:memory_quota",
    "starts_at": "2026-05-11T10:00:00.000000Z",
    "ends_at": "2026-05-11T12:00:00.000000Z",
    "author": "user@example.com",
    "comment": "resizing the dynos",
}
WEBHOOK = {
    "id": 3,
    "url": "https://hooks.example.com/…",
    "format": "slack",
    "disabled_reason": "the receiver answered 410 (Gone)",
}


def notification(
    type: str, incident: dict[str, Any] = INCIDENT, *, standing_in: bool = False, **changes: Any
) -> Notification:
    """One of that type. `standing_in`: where it is about several incidents, one stands for them."""
    incident = {**incident, **changes}
    if type in (DIGEST, SILENCE_ENDED):
        # Of several apps, one of them worse than the others.
        several = [{**incident, "app": f"shop-{n}", "severity": "error" if n else "critical"} for n in range(30)]
        silence = {**SILENCE, "comment": incident["diagnosis"], "match": incident["title"]}
        about = silence if type == SILENCE_ENDED else None
        return Notification(type, AT, incident if standing_in else None, URL, incidents=several, silence=about)
    if type == DISABLED:
        return Notification(type, AT, None, URL, webhook={**WEBHOOK, "disabled_reason": incident["diagnosis"]})
    return Notification(type, AT, incident, URL, test=type == TEST)


ALL_TYPES = (*TYPES, TEST)

# Ends of code blocks, mentions, links, Markdown, templates, HTML, control characters, the writing turned round, astral letters.
HOSTILE = (
    "```\n<!channel> <@U123> @everyone <@&9> [click](https://evil.example.com) **b** *b* _i_ ~s~ ||x|| `c` "
    "<https://evil.example.com|x> &amp; {{DATE(2017-02-14T06:00:00Z)}} <script> \\ # h\n> q \x1b[2J \x07 \u202e 🙂 \" ' \r\n- x"
)
# Longer than every limit, in letters that each take an escape, or two units.
HUGE = ("<&>*_`🙂" + HOSTILE) * 60


def spoilt(text: str) -> dict[str, Any]:
    """An incident with `text` wherever a log or a person may put any."""
    return {
        **INCIDENT,
        **dict.fromkeys(("app", "environment", "subject", "rule", "key", "title", "diagnosis", "verify"), text),
        "runbook": f"javascript:{text}",
        "remedies": [text] * 30,
        "evidence": [event(n, text) for n in range(21)],
        "traceback": [text] * 200,
        "release": {"version": text, "description": text, "actor": text, "seconds_before": 1},
    }
