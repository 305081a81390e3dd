"""An Adaptive Card, as a Teams workflow ("When a Teams webhook request is received") takes it.

All text stands in text runs, in which nothing is Markdown (Adaptive Cards: RichTextBlock); a text block would make links of
what an app has logged. A card may have 28 KB.
"""

import json
from collections.abc import Sequence
from typing import Any

from service.notify.formats.cut import cut, cut_lines
from service.notify.formats.telling import Section, Telling, tell
from service.notify.notification import Notification

# Teams: limits of a workflow's webhook; some of it is Microsoft's own envelope.
_MOST_BYTES = 26_000
_HEADLINE, _FACT, _PROSE, _CODE = 300, 300, 2000, 4000

_COLOURS = {"critical": "Attention", "error": "Attention", "warning": "Warning", "info": "Accent", "debug": "Default"}


def render(notification: Notification) -> str:
    """A message with one card; texts are cut shorter until it is small enough."""
    told = tell(notification)
    share = 1
    while len((body := _message(told, share)).encode()) > _MOST_BYTES:
        share *= 2
    return body


def _message(told: Telling, share: int) -> str:
    body = [_block([_run(cut(told.headline, _HEADLINE), weight="Bolder", size="Large", color=_colour(told))])]
    for name, value in told.facts:
        body.append(_block([_run(f"{name}: ", weight="Bolder"), _run(cut(value, _FACT))], spacing="Small"))
    for section in told.sections:
        body += _section(section, share)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": cut(told.headline, _HEADLINE),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": text, "url": url} for text, url in told.links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False, separators=(",", ":"))


def _section(section: Section, share: int) -> list[dict[str, Any]]:
    heading = _block([_run(section.name, weight="Bolder")], spacing="Medium")
    if not section.code:
        return [heading, _block([_run(cut(section.lines[0], max(_PROSE // share, 80)))], spacing="Small")]
    # A block for each line: not every client breaks a run at its newlines.
    shown = cut_lines(section.lines, max(_CODE // share, 120)).split("\n")
    return [heading, *(_block([_run(line, fontType="Monospace")], spacing="None") for line in shown)]


def _block(runs: Sequence[dict[str, Any]], **options: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), **options}


def _run(text: str, **options: str) -> dict[str, Any]:
    # {{DATE(…)}} is the one thing that a card's text may compute (Adaptive Cards: text features).
    return {"type": "TextRun", "text": text.replace("{{", "{\u200b{"), **options}


def _colour(told: Telling) -> str:
    return "Good" if told.good else _COLOURS[told.severity]
