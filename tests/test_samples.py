"""Every sample tells the story that its .toml says, however its lines come."""

import re
import tomllib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from keeping import READING, keep
from parsers.frame import read_frame
from parsers.line import Origin
from parsers.traffic import minutes_of
from service.detect.backtest import Batch, Occurrence, backtest
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from service.store import incidents
from service.store.database import Database
from service.store.incidents import Incident
from telling import SAMPLES, Expected, Scenario, scenarios
from vocabulary import NOON, router_line

SCENARIOS = scenarios()
BOOK = RuleBook()
RULES = [rule.name for rule in BOOK.for_app("", "")]
ROOT = Path(__file__).parent.parent

told_of_each = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)


def frame(scenario: Scenario, places: Sequence[int]) -> Batch:
    """The messages of these numbers in one frame that was read and kept, long after all of it."""
    body = b"".join(scenario.messages[place] for place in places)
    read = read_frame(body, scenario.origin, scenario.until + timedelta(days=1), READING)
    assert not read.damage
    return Batch([replace(event, id=uuid4()) for event in read.events], read.newest_at, minutes_of(read.traffic))


def told(scenario: Scenario, frames: Sequence[Sequence[int]]) -> list[Occurrence]:
    rules = BOOK.for_app(scenario.origin.app, scenario.origin.environment)
    batches = [frame(scenario, places) for places in frames]
    return backtest(rules, batches, until=scenario.until, origin=scenario.origin)


def as_told(one: Expected) -> tuple[object, ...]:
    return one.rule, one.subject, one.severity, one.opened_at, one.resolved_at, one.count


def _all(scenario: Scenario) -> list[tuple[object, ...]]:
    return sorted(as_told(one) for one in scenario.incidents)


def as_found(one: Occurrence) -> tuple[object, ...]:
    return one.rule, one.key, one.severity.label, one.fired_at, one.cleared_at, one.count


@told_of_each
def test_a_scenario_opens_exactly_the_incidents_it_says(scenario: Scenario) -> None:
    found = told(scenario, [range(len(scenario.messages))])
    assert sorted(map(as_found, found)) == _all(scenario)


@told_of_each
def test_a_scenario_has_one_line_for_each_of_its_messages(scenario: Scenario) -> None:
    assert len(scenario.times) == len(scenario.messages)
    assert scenario.story.endswith(".")


@told_of_each
@settings(max_examples=8)
@given(seed=st.integers(0, 1 << 32))
def test_any_frames_in_any_order_within_ten_seconds_open_the_same(scenario: Scenario, seed: int) -> None:
    chance = Random(seed)
    delays = [chance.choice((0.0, chance.uniform(0, 9.999))) for _ in scenario.times]
    arrival = sorted(range(len(delays)), key=lambda place: scenario.times[place] + timedelta(seconds=delays[place]))
    cuts = chance.sample(range(1, len(arrival)), chance.randint(0, min(30, len(arrival) - 1)))
    frames = [arrival[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(arrival)])]
    assert told(scenario, frames) == told(scenario, [range(len(delays))])


@told_of_each
def test_a_scenario_told_line_by_line_opens_the_same(scenario: Scenario) -> None:
    in_order = sorted(range(len(scenario.times)), key=lambda place: scenario.times[place])
    assert told(scenario, [[place] for place in in_order]) == told(scenario, [in_order])


@pytest_asyncio.fixture(loop_scope="session")
async def db(embedded_url: str) -> AsyncIterator[Database]:
    """A database on one server only: there are many scenarios."""
    opened = Database.open(embedded_url)
    yield opened
    await opened.close()


async def test_scenarios_kept_and_watched_one_after_the_other_are_told_with_their_diagnoses(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The scenarios are of 2026; they count however long ago that is.
    monkeypatch.setattr("service.incidents.minutes.OLDEST", timedelta(days=36_500))
    watch = Watch(db, BOOK, lambda app: "FLAG_", holder="one")
    for scenario in sorted(SCENARIOS, key=lambda one: min(one.times)):
        app, environment = scenario.origin.app, scenario.origin.environment
        half = len(scenario.messages) // 2
        await keep(db, app, *scenario.messages[:half], environment=environment)
        await keep(db, app, *scenario.messages[half:], router_line(scenario.until), environment=environment)
        while await watch.turn(scenario.until):
            pass
        async with db.read() as conn:
            newest = await incidents.page(conn, app=app, limit=100)
        found = {one.rule: one for one in newest if one.opened_at >= min(scenario.times)}
        assert (scenario.name, sorted(map(_as_kept, found.values()))) == (scenario.name, _all(scenario))
        for expected in scenario.incidents:
            one = found[expected.rule]
            assert expected.diagnosis in one.diagnosis
            assert one.evidence
            assert one.context
            texts = [one.title, one.diagnosis, one.verify, *one.remedies]
            assert [text for text in texts if re.search(r"\{\w+\}", text)] == []


def _as_kept(one: Incident) -> tuple[object, ...]:
    return one.rule, one.subject, one.severity.label, one.opened_at, one.resolved_at, one.count


# -- frames, byte for byte -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((SAMPLES / "frames").glob("*.frame")), ids=lambda path: path.stem)
def test_a_frame_reads_as_it_says(path: Path) -> None:
    said = tomllib.loads(path.with_suffix(".toml").read_text())
    body = path.read_bytes()
    read = read_frame(body, Origin("raxx-api-prod", "production"), NOON, READING)
    assert said.pop("story").endswith(".")
    assert said == {
        "messages": read.messages,
        "head": read.head,
        "kinds": [event.kind for event in read.events],
        "damage": [len(one.body) for one in read.damage],
    }


# -- one name, five places -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_scenario_of_its_name_that_opens_it_and_one_that_ends_it(rule: str) -> None:
    named = [one for one in SCENARIOS if one.name == rule]
    assert [one.rule for one in named[0].incidents if one.rule == rule] == [rule]
    kindred = [one for one in SCENARIOS if one.name.startswith(rule)]
    assert any(incident.resolved_at for one in kindred for incident in one.incidents), "one that is resolved"


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_two_look_alikes_that_open_nothing(rule: str) -> None:
    alike = [one for one in SCENARIOS if one.name.startswith(f"{rule}_not_") and not one.incidents]
    assert len(alike) >= 2, [one.name for one in alike]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_heading_in_the_docs_and_a_test(rule: str) -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "rules.md").read_text(), re.MULTILINE)
    assert rule in headings
    tests = [path.read_text() for path in (ROOT / "tests" / "service" / "detect").glob("test_*.py")]
    assert any(f'"{rule}"' in text for text in tests)


def test_what_the_docs_retune_can_be_retuned_so() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    tables = [
        table for toml in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) for table in tomllib.loads(toml)["rules"]
    ]
    assert [table["name"] for table in tables] == RULES
    RuleBook([(table, "docs/rules.md") for table in tables])


def test_the_docs_have_no_heading_of_a_rule_that_is_not_there() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "rules.md").read_text(), re.MULTILINE)
    assert set(headings) <= set(RULES)


def test_a_scenario_that_opens_nothing_is_called_so() -> None:
    for one in SCENARIOS:
        assert bool(one.incidents) != ("_not_" in one.name or one.name == "healthy_day"), one.name
