"""What a test of an endpoint tells."""

from datetime import datetime

from service.notify.notification import TEST, Notification
from service.wire.instant import instant


def example(now: datetime, public_url: str) -> Notification:
    """A made-up incident with all that a real one has, so that a receiver that reads it will read those too."""
    at = instant(now)
    incident = {
        "id": "00000000-0000-0000-0000-000000000000",
        "version": 1,
        "rule": "webhook_test",
        "key": "webhook_test/example/example",
        "app": "example",
        "environment": "test",
        "subject": "example",
        "severity": "info",
        "status": "open",
        "title": "TEST: this is how an incident arrives here",
        "diagnosis": "Nothing has happened: somebody tries out this webhook.",
        "remedies": [],
        "verify": "You are reading it, so it works.",
        "runbook": None,
        "opened_at": at,
        "last_seen_at": at,
        "acknowledged_at": None,
        "escalated_at": None,
        "resolved_at": None,
        "count": 1,
        "release": None,
        "evidence": [],
        "context": [],
        "traceback": None,
        "timeline": [],
        "checks": [],
    }
    return Notification(TEST, now, incident, public_url, test=True)
