"""The words for rules: what a story of log lines makes of one.

found("crash_loop", crash("web.1", "12:00"), starting("web.1", "12:00:01"), crash("web.1", "12:04")) == ["web critical 12:04"]
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from parsers.event import Event
from parsers.frame import Reading, read_frame
from parsers.kinds.named import EventTable
from parsers.line import Origin
from parsers.traffic import minutes_of
from service.detect.backtest import Batch, Occurrence, backtest
from service.detect.rule import Rule
from service.detect.rule_book import RuleBook
from vocabulary import at, frame_of, message, state

APP = "raxx-api-prod"
ORIGIN = Origin(APP, "production")
# Long after all that is told here: every line was received then, so each counts at its own time.
RECEIVED = datetime.fromisoformat("2026-06-30T00:00+00:00")
TABLES = (EventTable("shop.*", "shop"), EventTable("webauthn.*", "webauthn"), EventTable("promotion.*", "promotion"))
READING = Reading(
    tables=TABLES,
    watched_paths=frozenset({"/api/system/status"}),
    telling_paths=("/register/verify-with-token",),
)

BOOK = RuleBook()


def shop(name: str, ts: str | datetime, **fields: object) -> bytes:
    """A line of an app of our own: `shop("paid", "12:00", amount=5)` is an event of the kind `shop`."""
    return message("app", "web.1", f"shop.{name} " + " ".join(f"{key}={value}" for key, value in fields.items()), ts)


def promotion(action: str, ts: str | datetime, *, number: int = 42, state: str = "deploying") -> bytes:
    """A line of a promotion."""
    text = f"promotion.{action} promotion_id={number} flag_key=new_checkout state={state}"
    return message("app", "web.1", text, ts)


def starting(dyno: str, ts: str | datetime, *, before: str = "crashed") -> bytes:
    """Heroku starts the dyno (again)."""
    return state(dyno, before, "starting", ts)


def events_of(*messages: bytes, app: str = APP, environment: str = "production") -> list[Event]:
    """The events of some messages, as if kept."""
    frame = read_frame(frame_of(*messages), Origin(app, environment), RECEIVED, READING)
    return [replace(event, id=uuid4()) for event in frame.events]


def batch_of(*messages: bytes) -> Batch:
    """Some messages that come together."""
    frame = read_frame(frame_of(*messages), ORIGIN, RECEIVED, READING)
    events = [replace(event, id=uuid4()) for event in frame.events]
    return Batch(events, frame.newest_at, minutes_of(frame.traffic), heard_at=RECEIVED)


def rule_named(name: str, *own: Mapping[str, Any]) -> Rule:
    """A built-in rule, or one of `own` tables."""
    book = RuleBook([(table, "drainwatch.toml") for table in own]) if own else BOOK
    return next(rule for rule in book.for_app(APP, "production") if rule.name == name)


def found(
    rule: str | Mapping[str, Any], *messages: bytes, until: str | None = None, batches: Iterable[Sequence[bytes]] = ()
) -> list[str]:
    """Each time that a rule was on: `"web critical 12:04 to 12:20"`, or `"web critical 12:04"` where it still is.

    `rule` is a built-in one's name or a table; `messages` come in one frame, or those of each of `batches` in theirs;
    `until` is the time the app's clock is moved on to afterwards: it is silent, but was heard long after.
    """
    rules = [rule_named(rule) if isinstance(rule, str) else rule_named(rule["name"], rule)]
    told = backtest(
        rules,
        [batch_of(*one) for one in ((messages,) if messages else batches)],
        until=at(until) if until else None,
        origin=ORIGIN,
    )
    return [_said(one) for one in told]


def counts(rule: str | Mapping[str, Any], *messages: bytes) -> list[int]:
    """How many events each time had."""
    rules = [rule_named(rule) if isinstance(rule, str) else rule_named(rule["name"], rule)]
    return [one.count for one in backtest(rules, [batch_of(*messages)])]


def _said(one: Occurrence) -> str:
    ended = f" to {_clock(one.cleared_at)}" if one.cleared_at else ""
    return f"{one.key} {one.severity.label} {_clock(one.fired_at)}{ended}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}".removesuffix(":00")
