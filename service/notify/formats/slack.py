"""Slack's Block Kit, as an incoming webhook takes it (Slack: Block Kit, Reference: blocks; Escaping text).

Text from logs stands in `plain_text`, where nothing is markup, or in code blocks, which only three backticks end. `&`, `<`
and `>` are escaped in both, so no text can mention a channel or hide a link.
"""

import json
from typing import Any

from service.notify.formats.cut import cut, cut_lines
from service.notify.formats.telling import Section, Telling, tell
from service.notify.notification import Notification

# Slack: Reference, blocks. A section has ten fields: five facts, each a label and its value.
_HEADER, _SECTION, _FIELD, _FIELDS, _BUTTON, _FALLBACK = 150, 3000, 2000, 10, 75, 4000
_FACTS = _FIELDS // 2


def render(notification: Notification) -> str:
    """`text`, which notifications show, and `blocks`: header, facts, diagnosis, what to type, verify, evidence, buttons."""
    told = tell(notification)
    blocks = [{"type": "header", "text": _plain(told.headline, _HEADER)}, *_facts(told)]
    blocks += [_section(section) for section in told.sections]
    if told.links:
        blocks.append({"type": "actions", "elements": [_button(*link, n) for n, link in enumerate(told.links)]})
    message = {"text": cut(told.headline, _FALLBACK, escape), "mrkdwn": False, "blocks": blocks}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def escape(text: str) -> str:
    """The three letters that Slack reads as control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unfenced(text: str) -> str:
    """Text that does not end a code block."""
    return text.replace("``", "`\u200b`")


def _facts(told: Telling) -> list[dict[str, Any]]:
    sections = []
    for at in range(0, len(told.facts), _FACTS):
        fields = []
        for name, value in told.facts[at : at + _FACTS]:
            fields += [{"type": "mrkdwn", "text": f"*{name}*"}, _plain(value, _FIELD)]
        sections.append({"type": "section", "fields": fields})
    return sections


def _section(section: Section) -> dict[str, Any]:
    if not section.code:
        return {"type": "section", "text": _plain(f"{section.name}: {section.lines[0]}", _SECTION)}
    before, after = f"*{section.name}*\n```\n", "\n```"
    code = cut_lines([unfenced(line) for line in section.lines], _SECTION - len(before) - len(after), escape)
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"{before}{code}{after}", "verbatim": True}}


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": cut(text, limit, escape), "emoji": False}


def _button(text: str, url: str, number: int) -> dict[str, Any]:
    return {"type": "button", "action_id": f"open_{number}", "text": _plain(text, _BUTTON), "url": url}
