"""drainwatch's own format: `{"type", "timestamp", "data": {"incident", "url"}}` (Standard Webhooks, payload structure).

A digest has `data.incidents` instead, and the end of a silence `data.silence` and `data.incidents`.
"""

import json

from service.notify.notification import DIGEST, SILENCE_ENDED, Notification
from service.wire.instant import instant


def render(notification: Notification) -> str:
    """Compact JSON. `timestamp` is when it came about; `data.test` is true in a test and absent otherwise."""
    data: dict[str, object] = {"url": notification.url}
    if notification.silence is not None:
        data["silence"] = dict(notification.silence)
    if notification.type in (DIGEST, SILENCE_ENDED):
        data["incidents"] = [dict(one) for one in notification.incidents]
    else:
        data = {"incident": dict(notification.incident), **data}
    if notification.test:
        data["test"] = True
    body = {"type": notification.type, "timestamp": instant(notification.at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
