"""PagerDuty's Events API v2: trigger, acknowledge, resolve, held together by the incident's key as `dedup_key`.

The endpoint's routing key is not part of what is kept of a delivery; `with_routing_key` puts it in as it is sent. PagerDuty
ignores the end of what it never heard of, so what opened and ended before it could be told is no alert there.
"""

import hashlib
import json
from typing import Any

from service.notify.formats.cut import cut, cut_lines, units
from service.notify.formats.telling import Telling, one_line, tell
from service.notify.notification import ACKNOWLEDGED, RESOLVED, Notification
from service.wire.instant import instant

# PagerDuty: Events API v2, PD-CEF fields. An event may have 512 KB, of which this is a tenth.
_SUMMARY, _DEDUP_KEY, _DETAIL = 1024, 255, 8000
_SOURCE = 255

_ACTIONS = {ACKNOWLEDGED: "acknowledge", RESOLVED: "resolve"}
_SEVERITIES = {"debug": "info"}


def render(notification: Notification) -> str:
    """An event without its routing key. A test, a digest and the end of a silence are alerts of their own."""
    action = _ACTIONS.get(notification.type, "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": _dedup_key(notification)}
    if action == "trigger":
        event |= _alert(notification, tell(notification))
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def with_routing_key(payload: str, routing_key: str) -> str:
    """The event that is sent: `payload` with the key in front."""
    return f'{{"routing_key":{json.dumps(routing_key)},{payload[1:]}'


def _alert(notification: Notification, told: Telling) -> dict[str, Any]:
    incident = notification.only_incident or {}
    details = {name: cut(value, _DETAIL) for name, value in told.facts}
    details |= {section.name: cut_lines(section.lines, _DETAIL, longest=_DETAIL // 2) for section in told.sections}
    payload = {
        "summary": cut(told.headline, _SUMMARY),
        "source": cut(one_line(incident.get("app") or "drainwatch"), _SOURCE),
        "severity": _SEVERITIES.get(told.severity, told.severity),
        "timestamp": instant(notification.at),
        "custom_details": details,
    }
    for name, field in (("component", "subject"), ("group", "environment"), ("class", "rule")):
        if incident.get(field):
            payload[name] = cut(one_line(incident[field]), _SOURCE)
    links = [{"href": url, "text": text} for text, url in told.links]
    client = {"client_url": notification.url} if told.links and told.links[0][1] == notification.url else {}
    return {"client": "drainwatch", **client, "links": links, "payload": payload}


def _dedup_key(notification: Notification) -> str:
    """The incident's key, which names it through reopenings; for what is no incident's step a key of its own."""
    incident = notification.only_incident
    key = str(incident.get("key") or incident.get("id")) if incident is not None else _own_key(notification)
    if notification.test:
        key = f"test/{key}"
    shown = one_line(key)
    if shown == key and units(key) <= _DEDUP_KEY:
        return key
    # What is left of two keys may be alike: their digests are not.
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return f"{shown[:90]}/{digest}"


def _own_key(notification: Notification) -> str:
    about = notification.silence or notification.webhook or {}
    return f"{notification.type}/{about.get('id') or instant(notification.at)}"
