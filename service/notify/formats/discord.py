"""A Discord webhook's message: one embed (Discord: Webhook resource, Execute; Message resource, Embed limits).

Every sign that Discord's Markdown knows is escaped outside of code blocks, and nobody can be mentioned.
"""

import json
import re
from typing import Any

from service.notify.formats.cut import cut, cut_lines, units
from service.notify.formats.slack import unfenced
from service.notify.formats.telling import Section, tell
from service.notify.notification import Notification
from service.wire.instant import instant

# Discord: Embed limits. All texts of an embed together have 6,000.
_TITLE, _DESCRIPTION, _FIELDS, _VALUE, _ALL = 256, 1200, 25, 1024, 6000
_FACT = 200
# Less than this is no use to anybody.
_LEAST = 160
_FENCED = len("```\n\n```")

_COLOURS = {"critical": 0xB3261E, "error": 0xD9480F, "warning": 0xE0A100, "info": 0x3B73B9, "debug": 0x808080}
_OVER = 0x2E7D32
_MARKUP = re.compile(r"[\\*_~`|>#\[<@:]")


def render(notification: Notification) -> str:
    """An embed: title, diagnosis, facts, what to type, evidence."""
    told = tell(notification)
    embed: dict[str, Any] = {
        "title": cut(told.headline, _TITLE, escape),
        "color": _OVER if told.good else _COLOURS[told.severity],
        "timestamp": instant(notification.at),
        "footer": {"text": f"drainwatch · {notification.type}"},
    }
    room = _ALL - units(embed["title"]) - units(embed["footer"]["text"])
    fields: list[dict[str, Any]] = []
    for name, value in told.facts:
        fields.append({"name": name, "value": cut(value, _FACT, escape), "inline": True})
    for text, url in told.links:
        fields.append({"name": text, "value": url, "inline": True})
    if told.links:
        embed["url"] = told.links[0][1]
        fields.pop(len(told.facts))  # the title leads there
    room -= sum(units(one["name"]) + units(one["value"]) for one in fields)
    for section in told.sections:
        if room - len(section.name) < _LEAST or len(fields) == _FIELDS:
            break
        if section.name == "Diagnosis":
            embed["description"] = cut(section.lines[0], min(_DESCRIPTION, room), escape)
            room -= units(embed["description"])
            continue
        value = _value(section, min(_VALUE, room - len(section.name)))
        fields.append({"name": section.name, "value": value, "inline": False})
        room -= len(section.name) + units(value)
    embed["fields"] = fields
    message = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def escape(text: str) -> str:
    """A backslash before each sign that may begin markup, a mention or a link."""
    return _MARKUP.sub(lambda found: "\\" + found[0], text)


def _value(section: Section, limit: int) -> str:
    if not section.code:
        return cut(section.lines[0], limit, escape)
    return f"```\n{cut_lines([unfenced(line) for line in section.lines], limit - _FENCED)}\n```"
