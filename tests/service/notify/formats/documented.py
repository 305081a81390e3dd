"""What each service documents of the fields that its webhook takes, as far as drainwatch uses them; with their limits."""

import json
from typing import Any

from .shape import Exactly, List, Object, OneOf, Text, Texts, Truth, Whole

URL = Text(3000)

# Slack: Reference, blocks (header, section, actions), composition objects (text object), block elements (button).
_PLAIN = {"type": Exactly("plain_text"), "emoji": Exactly(False)}


def _plain(most: int) -> Object:
    return Object({**_PLAIN, "text": Text(most)})


def _text(most: int) -> OneOf:
    mrkdwn = Object({"type": Exactly("mrkdwn"), "text": Text(most)}, {"verbatim": Exactly(True)})
    return OneOf({"plain_text": _plain(most), "mrkdwn": mrkdwn})


_BUTTON = Object({"type": Exactly("button"), "action_id": Text(255), "text": _plain(75), "url": URL})
_BLOCKS = {
    "header": Object({"type": Exactly("header"), "text": _plain(150)}),
    "section": Object({"type": Exactly("section")}, {"text": _text(3000), "fields": List(_text(2000), 10)}),
    "actions": Object({"type": Exactly("actions"), "elements": List(_BUTTON, 25)}),
}
SLACK = Object({"text": Text(40_000), "mrkdwn": Exactly(False), "blocks": List(OneOf(_BLOCKS), 50)})


# Discord: Webhook resource, Execute Webhook; Message resource, Embed object, Embed limits.
def _within_6000(embed: dict[str, Any]) -> str | None:
    texts = [embed["title"], embed.get("description", ""), embed["footer"]["text"]]
    texts += [part for field in embed["fields"] for part in (field["name"], field["value"])]
    total = sum(len(text.encode("utf-16-le")) // 2 for text in texts)
    return None if total <= 6000 else f"{total} characters in all"


_FIELD = Object({"name": Text(256), "value": Text(1024), "inline": Truth()})
DISCORD = Object(
    {
        "embeds": List(
            Object(
                {
                    "title": Text(256),
                    "color": Whole(0xFFFFFF),
                    "timestamp": Text(40),
                    "footer": Object({"text": Text(2048)}),
                    "fields": List(_FIELD, 25, 0),
                },
                {"url": URL, "description": Text(4096)},
                _within_6000,
            ),
            10,
        ),
        "allowed_mentions": Exactly({"parse": []}),
    }
)

# Adaptive Cards 1.4: AdaptiveCard, RichTextBlock, TextRun, Action.OpenUrl; Teams: a workflow's webhook takes 28 KB.
_RUN = Object(
    {"type": Exactly("TextRun"), "text": Text()},
    {
        "weight": Text(choices=("Lighter", "Default", "Bolder")),
        "size": Text(choices=("Default", "Small", "Medium", "Large", "ExtraLarge")),
        "color": Text(choices=("Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention")),
        "fontType": Text(choices=("Default", "Monospace")),
    },
)
_RICH = Object(
    {"type": Exactly("RichTextBlock"), "inlines": List(_RUN, 100)},
    {"spacing": Text(choices=("None", "Small", "Default", "Medium", "Large"))},
)
_CARD = Object(
    {
        "$schema": Exactly("http://adaptivecards.io/schemas/adaptive-card.json"),
        "type": Exactly("AdaptiveCard"),
        "version": Exactly("1.4"),
        "fallbackText": Text(),
        "msteams": Exactly({"width": "Full"}),
        "body": List(OneOf({"RichTextBlock": _RICH}), 200),
        "actions": List(Object({"type": Exactly("Action.OpenUrl"), "title": Text(), "url": URL}), 6, 0),
    }
)


def _within_28_kb(message: dict[str, Any]) -> str | None:
    size = len(json.dumps(message, ensure_ascii=False).encode())
    return None if size <= 28 * 1024 else f"{size} bytes"


TEAMS = Object(
    {
        "type": Exactly("message"),
        "attachments": List(
            Object(
                {
                    "contentType": Exactly("application/vnd.microsoft.card.adaptive"),
                    "contentUrl": Exactly(None),
                    "content": _CARD,
                }
            ),
            1,
        ),
    },
    check=_within_28_kb,
)


# PagerDuty: Events API v2, Send an alert event; PD-CEF. The routing key comes in when it is sent.
def _payload_of_a_trigger(event: dict[str, Any]) -> str | None:
    if event["event_action"] == "trigger":
        return None if "payload" in event else "a trigger without a payload"
    return None


PAGERDUTY = Object(
    {"event_action": Text(choices=("trigger", "acknowledge", "resolve")), "dedup_key": Text(255)},
    {
        "routing_key": Text(32),
        "client": Text(255),
        "client_url": URL,
        "links": List(Object({"href": URL, "text": Text()}), 10, 0),
        "payload": Object(
            {
                "summary": Text(1024),
                "source": Text(255),
                "severity": Text(choices=("critical", "error", "warning", "info")),
            },
            {
                "timestamp": Text(40),
                "component": Text(255),
                "group": Text(255),
                "class": Text(255),
                "custom_details": Texts(),
            },
        ),
    },
    _payload_of_a_trigger,
)

# Apprise API: POST /notify/KEY.
APPRISE = Object(
    {
        "title": Text(250),
        "body": Text(32_768),
        "type": Text(choices=("info", "success", "warning", "failure")),
        "format": Exactly("text"),
    }
)
