"""The filter language in SQL holds to what it says as a function of an event."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from any_filter import events as any_event
from any_filter import trees
from keeping import keep
from parsers.event import Event, Severity
from parsers.filters import Node, parse_filter, predicate, render
from service.store import apps
from service.store.apps import App
from service.store.database import Database
from service.store.filter_sql import Narrowed, narrowed, where
from service.store.ids import new_id
from service.store.tables import events
from soak import FILTERS
from vocabulary import router_line

KNOWN = {1: App(1, "a", "production"), 2: App(2, "web.1", "H12"), 3: App(3, "503", "aB")}
NOW = datetime.now(UTC)


class Kept:
    """A database on a loop of its own, in which some events are kept at a time."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._db = Database.open(url)

    def close(self) -> None:
        self._runner.run(self._db.close())
        self._runner.close()

    def agree(self, some: Sequence[Event], filters: Sequence[Node]) -> None:
        """Asserts that each of `filters` has the same ones of `some` in both backends."""
        self._runner.run(self._agree(some, filters))

    async def _agree(self, some: Sequence[Event], filters: Sequence[Node]) -> None:
        async with self._db.begin() as conn:
            await conn.execute(events.insert(), [_row(event) for event in some])
            answers = [where(one, KNOWN).is_(True).label(f"f{n}") for n, one in enumerate(filters)]
            rows = {row.id: row[1:] for row in await conn.execute(select(events.c.id, *answers))}
            await conn.rollback()
        for number, one in enumerate(filters):
            fits = predicate(one)
            for event in some:
                assert rows[event.id][number] is fits(event), (render(one), event)


def _row(event: Event) -> dict[str, Any]:
    app_id = next(app.id for app in KNOWN.values() if app.name == event.app)
    own = ("received_at", "id", "ts", "kind", "code", "source", "process", "dyno", "message", "fields", "place")
    row = {name: getattr(event, name) for name in own}
    return {**row, "app_id": app_id, "severity": int(event.severity), "flags": list(event.flags), "chunk_id": event.id}


@st.composite
def kept_events(draw: st.DrawFn) -> Event:
    app = draw(st.sampled_from(list(KNOWN.values())))
    # A partition is there for what is received today.
    event = replace(draw(any_event), app=app.name, environment=app.environment, id=new_id(NOW))
    return replace(event, received_at=NOW)


@pytest.fixture
def kept(shared_url: str) -> Iterator[Kept]:
    opened = Kept(shared_url)
    yield opened
    opened.close()


@settings(max_examples=FILTERS, suppress_health_check=list(HealthCheck))
@given(some=st.lists(kept_events(), min_size=4, max_size=4), filters=st.lists(trees, min_size=6, max_size=6))
def test_sql_and_predicate_agree_on_any_filter_and_any_event(
    kept: Kept, some: Sequence[Event], filters: Sequence[Node]
) -> None:
    kept.agree(some, filters)


def test_they_agree_on_what_is_easily_got_wrong(kept: Kept) -> None:
    fields = {
        "n": 503, "f": 503.0, "half": 0.25, "zero": -0.0, "big": 10**25, "tiny": 1e-7, "text": "503", "yes": True, "no": False,
        "none": None, "list": ["503", "a%b"], "empty": [], "blank": "", "like": "a%b_c\\d", "object": "x", "word": "'; drop --",
    }  # fmt: skip
    blank = Event(NOW, NOW, "a", "production", "app", "web.1", None, "x", None, Severity.ERROR, "")
    some = [
        replace(blank, id=new_id(NOW), message="İ ſ K ÄöÜ 100% a_b", fields=fields, dyno="web.1", flags=("a%b",)),
        replace(blank, id=new_id(NOW), message="K", dyno="web-abc-123", code="H12", fields={"n": "0503"}),
        replace(blank, id=new_id(NOW), message="line\nline", dyno="", app="web.1", environment="H12"),
    ]
    names = [*fields, "dyno", "process_type", "flags", "app", "environment", "code", "id", "message", "severity", "ts"]
    plain = [name for name in names if name not in ("severity", "ts")]
    values = [
        "503",
        "503.0",
        "0503",
        "true",
        "0",
        "-0",
        "0.0",
        "a%b",
        '"a%b_c\\\\d"',
        '""',
        "web",
        "*5*",
        "?",
        "a*",
        "*%*",
        "a_b",
    ]
    texts = [f"{name}:{value}" for name in plain for value in values] + [f"{name}:*" for name in names]
    texts += [f"{name}{sign}{n}" for name in plain for sign in ("<", "<=", ">", ">=") for n in ("503", "0", "0.25")]
    texts += [
        "i",
        "ſ",
        "k",
        "K",
        "äöü",
        "Ä",
        "100%",
        "a_b",
        "a?b",
        "*",
        "line*line",
        "LINE",
        '"e\nl"',
        "-app:a",
        "-dyno:web.1",
    ]
    texts += [
        f"id:{some[0].id}",
        f"id:{str(some[0].id).upper()}",
        f"id:{str(some[0].id)[:9]}*",
        "severity>=error",
        "severity:info",
    ]
    texts += [f"-{one}" for one in texts if not one.startswith("-")]

    kept.agree(some, [parse_filter(one) for one in texts])


async def test_sql_in_a_filter_is_text(db: Database) -> None:
    await keep(db, "shop", router_line(code="H12", path="/'; drop table events; --"))

    async with db.read() as conn:
        known = await apps.known(conn)
        for text in ('"\'; drop table events; --"', "path:*drop*", 'x:"\' or 1=1 --"', "\"'||pg_sleep(9)||'\""):
            found = await conn.execute(select(events.c.code).where(where(parse_filter(text), known)))
            assert len(found.all()) == (1 if "drop" in text else 0), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("code:H12 status>5", Narrowed((1, 2, 3), ("H12",), None)),
        ("(code:H10 OR code:R10) kind:x", Narrowed((1, 2, 3), ("H10", "R10"), ("x",))),
        ("code:H10 OR x", Narrowed((1, 2, 3), None, None)),
        ("-code:H10", Narrowed((1, 2, 3), None, None)),
        ("app:*e*", Narrowed((2,), None, None)),
        ("-app:a environment:aB x", Narrowed((3,), None, None)),
        ("app:a OR dyno:x", Narrowed((1, 2, 3), None, None)),
        ("app:nobody", Narrowed((), None, None)),
    ],
)
def test_what_a_filter_says_outright_narrows_what_is_looked_through(text: str, expected: Narrowed) -> None:
    found = narrowed(parse_filter(text), KNOWN)

    assert Narrowed(tuple(found.app_ids), found.codes, found.kinds) == expected
