"""drainwatch's own format: `{"type", "timestamp", "data": {"incident", "url"}}` (Standard Webhooks, payload structure).

`data` holds what the notification is about: `incident`; in a digest `incidents`; `silence` and `incidents` where a silence
ended; `webhook` where one is told nothing any more.
"""

import json

from service.notify.notification import DIGEST, SILENCE_ENDED, Notification
from service.wire.instant import instant


def render(notification: Notification) -> str:
    """Compact JSON. `timestamp` is when it came about; `data.test` is true in a test and absent otherwise."""
    data: dict[str, object] = {}
    if notification.only_incident is not None:
        data["incident"] = dict(notification.only_incident)
    if notification.silence is not None:
        data["silence"] = dict(notification.silence)
    if notification.type in (DIGEST, SILENCE_ENDED):
        data["incidents"] = [dict(one) for one in notification.incidents]
    if notification.webhook is not None:
        data["webhook"] = dict(notification.webhook)
    data["url"] = notification.url
    if notification.test:
        data["test"] = True
    body = {"type": notification.type, "timestamp": instant(notification.at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
