"""What is told of several incidents at once: a storm, and the end of a silence."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from parsers.event import Severity
from service.notify.notification import DIGEST, SILENCE_ENDED, Notification, incident_url
from service.wire.silence import SilenceJson


def digest(incidents: Sequence[Mapping[str, Any]], *, at: datetime, public_url: str) -> Notification:
    """Several incidents that opened at about the same time, as one."""
    title = f"{len(incidents)} incidents opened: {_worst(incidents)['title']}, and others"
    return _of_many(DIGEST, incidents, title=title, at=at, public_url=public_url)


def silence_ended(
    silence: SilenceJson, incidents: Sequence[Mapping[str, Any]], *, at: datetime, public_url: str
) -> Notification:
    """A silence has ended; `incidents` stand, and are loud again."""
    loud = f"{len(incidents)} of its incidents stand" if incidents else "nothing of it stands"
    title = f"Silence {silence['id']} ({silence['match']}) has ended, {loud}"
    return _of_many(SILENCE_ENDED, incidents, title=title, at=at, public_url=public_url, silence=silence)


def _of_many(
    type: str,
    incidents: Sequence[Mapping[str, Any]],
    *,
    title: str,
    at: datetime,
    public_url: str,
    silence: SilenceJson | None = None,
) -> Notification:
    # Evidence and lines of hundreds would be megabytes: they are where each one's url leads.
    short = [
        {**one, "evidence": [], "context": [], "traceback": None, "url": incident_url(public_url, one)}
        for one in incidents
    ]
    # One that stands for all of them, for formats that know of no others.
    stands = {**_worst(short), "title": title} if short else None
    url = f"{public_url.rstrip('/')}/v1/incidents"
    return Notification(type, at, stands, url, incidents=short, silence=silence)


def _worst(incidents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(incidents, key=lambda one: Severity.of(one["severity"]))
