"""What Apprise takes: title, text and sort, in the JSON of the Apprise API (`POST /notify/KEY`).

Where the endpoint's URL is http or https, an Apprise API stands there and is sent this body. Any other URL is one of
Apprise's own (`mailto://`, `tgram://` …): `notify/apprise_way.py` gives the same words to the library.
"""

import json

from service.notify.formats.cut import cut, cut_lines
from service.notify.formats.telling import Telling, tell
from service.notify.notification import Notification

# Apprise cuts for each service itself; this keeps a push message from becoming a book.
_TITLE, _BODY, _SECTION = 250, 4000, 1200

_SORTS = {"critical": "failure", "error": "failure", "warning": "warning"}


def render(notification: Notification) -> str:
    """`{"title", "body", "type", "format": "text"}`."""
    told = tell(notification)
    message = {
        "title": cut(told.headline, _TITLE),
        "body": cut_lines(_lines(told), _BODY, longest=_SECTION),
        "type": "success" if told.good else _SORTS.get(told.severity, "info"),
        "format": "text",
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _lines(told: Telling) -> list[str]:
    lines = [f"{name}: {value}" for name, value in told.facts]
    for section in told.sections:
        lines += (
            ["", f"{section.name}:", *section.lines] if section.code else ["", f"{section.name}: {section.lines[0]}"]
        )
    return [*lines, "", *(f"{text}: {url}" for text, url in told.links)]
