"""drainwatch's own format: `{"type", "timestamp", "data": {"incident", "url"}}` (Standard Webhooks, payload structure)."""

import json

from service.notify.notification import Notification
from service.wire.instant import instant


def render(notification: Notification) -> str:
    """Compact JSON. `timestamp` is when it came about; `data.test` is true in a test and absent otherwise."""
    data: dict[str, object] = {"incident": dict(notification.incident), "url": notification.url}
    if notification.test:
        data["test"] = True
    body = {"type": notification.type, "timestamp": instant(notification.at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
