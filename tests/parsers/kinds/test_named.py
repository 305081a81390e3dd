"""Kinds given as data: which lines they take, what they keep, how bad it is."""

import pytest

from parsers.event import Severity
from parsers.kinds.named import EventTable, Flag, read
from parsers.line import Line
from tests.parsers.readings import PRODUCTION, STAGING, event_of
from tests.vocabulary import NOON

SHOP = EventTable("shop.*", "shop", ("phase", "amount"))
MEMORY = "webauthn.challenge_stored store=memory user_id=7"


def line(text: str) -> Line:
    return Line(NOON, "app", "web.1", text)


def test_the_fields_of_the_table_are_kept_and_others_dropped() -> None:
    meaning = read(line("shop.order phase=paid amount=12.5 buyer=joe"), [SHOP], "production")
    assert meaning is not None
    assert (meaning.kind, meaning.dyno, meaning.fields) == ("shop", "web.1", {"phase": "paid", "amount": 12.5})


def test_without_fields_all_are_kept_and_the_action_with_them() -> None:
    meaning = read(line("shop.order.paid amount=12.5 buyer=joe"), [EventTable("shop.*", "shop")], "production")
    assert meaning is not None
    assert meaning.fields == {"action": "order.paid", "amount": 12.5, "buyer": "joe"}


@pytest.mark.parametrize(
    ("pattern", "action"),
    [("shop.order.paid", "paid"), ("shop.*", "order.paid"), ("*", "shop.order.paid"), ("shop.o?der.*", "order.paid")],
)
def test_the_action_is_what_the_wildcard_stands_for(pattern: str, action: str) -> None:
    meaning = read(line("shop.order.paid"), [EventTable(pattern, "shop")], "production")
    assert meaning is not None
    assert meaning.fields["action"] == action


def test_the_first_table_that_matches_is_taken() -> None:
    tables = [EventTable("shop.order", "order"), SHOP]
    kinds = [read(line(name), tables, "production") for name in ("shop.order", "shop.other", "shopping")]
    assert [meaning and meaning.kind for meaning in kinds] == ["order", "shop", None]


@pytest.mark.parametrize(
    ("text", "severity"),
    [("ERROR shop: shop.x", "error"), ("shop.x", "info"), ('{"event": "shop.x", "level": "warn"}', "warning")],
)
def test_without_a_severity_the_level_word_says_it(text: str, severity: str) -> None:
    meaning = read(line(text), [SHOP], "production")
    assert meaning is not None
    assert meaning.severity is Severity.of(severity)


def test_a_severity_of_the_table_wins_over_the_level_word() -> None:
    meaning = read(line("ERROR shop: shop.x"), [EventTable("shop.*", "shop", severity=Severity.DEBUG)], "production")
    assert meaning is not None
    assert meaning.severity is Severity.DEBUG


@pytest.mark.parametrize(
    "text", [MEMORY, f"INFO raptor.webauthn: {MEMORY}", '{"event": "webauthn.challenge_stored", "store": "memory"}']
)
def test_challenges_in_memory_are_critical_and_flagged_on_production_alone(text: str) -> None:
    there, elsewhere = event_of("app", "web.1", text, PRODUCTION), event_of("app", "web.1", text, STAGING)
    assert there is not None
    assert elsewhere is not None
    assert (there.severity, there.flags) == (Severity.CRITICAL, ("memory_store_on_production",))
    assert (elsewhere.severity, elsewhere.flags) == (Severity.INFO, ())


def test_a_flag_holds_where_all_its_conditions_do() -> None:
    table = EventTable(
        "shop.*",
        "shop",
        flags=(Flag({"amount": 0, "buyer": "joe"}, "free"), Flag({"amount": 0}, severity=Severity.ERROR)),
    )
    said = [
        read(line(f"shop.x {pairs}"), [table], "staging") for pairs in ("amount=0 buyer=joe", "amount=0", "buyer=joe")
    ]
    assert [(one.flags, one.severity.label) for one in said if one] == [
        (("free",), "error"),
        ((), "error"),
        ((), "info"),
    ]


@pytest.mark.parametrize(
    "text",
    ["GET /shop.x 200", "INFO app: see shop.x", '{"event": "other", "text": "shop.x"}', "path=shop.x", "[shop.x]"],
)
def test_a_name_elsewhere_than_where_a_name_stands_is_none(text: str) -> None:
    assert read(line(text), [SHOP], "production") is None
