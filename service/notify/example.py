"""What a test of an endpoint tells: an incident of the past that it would have been told of, or else a made-up one."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify.notification import TEST, Notification, incident_url
from service.notify.routes import Route, wants
from service.store import incidents
from service.wire.incident import incident_json
from service.wire.instant import instant

# So many of the newest are looked at for one that the endpoint wants.
_LOOKED_AT = 100


async def past_or_example(conn: AsyncConnection, route: Route, *, public_url: str, now: datetime) -> Notification:
    """A test: the newest incident that `route` is told of, else the newest, else an example."""
    past = [dict(incident_json(one)) for one in await incidents.page(conn, limit=_LOOKED_AT)]
    told = next((one for one in past if wants(route, one)), past[0] if past else None)
    if told is None:
        return example(now, public_url)
    return Notification(TEST, now, told, incident_url(public_url, told), test=True)


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
        "flapping": False,
        "flapping_since": None,
        "timeline": [],
        "checks": [],
    }
    return Notification(TEST, now, incident, public_url, test=True)
