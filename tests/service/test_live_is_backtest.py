"""Live is backtest: the same lines, posted as they come or read in order, give the same incidents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from door import APP, Door
from keeping import READING, SAMPLES
from parsers.frame import read_frame
from parsers.line import Origin
from parsers.traffic import minutes_of
from service.cli.tested import lives
from service.detect.backtest import Batch, Occurrence, backtest
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from telling import scenarios
from town import town_of
from vocabulary import message, router_line

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOT_SO = "a line that came late shows that it was not so"
TOLD = (
    "crash_loop",
    "request_timeouts",
    "webauthn_",
    "no_web_dynos",
    "health_check",
    "error_rate",
    "drain_",
    "deploy_",
)


@pytest.fixture(autouse=True)
def however_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stories are of 2026, and a backtest knows no oldest minute."""
    monkeypatch.setattr("service.incidents.minutes.OLDEST", timedelta(days=36_500))


@dataclass(frozen=True, slots=True)
class Line:
    """A message, its own time, and when it comes."""

    wire: bytes
    at: datetime
    comes_at: datetime


def told_to_one_app(chance: Random, *, late: float) -> list[Line]:
    """The lines of many stories, in the order in which they come: most at once, some up to ten seconds later, and a share
    of them `late` by minutes."""
    lines = []
    for story in scenarios():
        if story.name.startswith(TOLD) and story.origin.app in (APP, "shop-prod", "docs-prod"):
            for wire, at in zip(story.messages, story.times, strict=True):
                delay = chance.choice((0.0, 0.0, 0.0, chance.uniform(0, 9.9)))
                if chance.random() < late:
                    delay = chance.uniform(30, 540)
                lines.append(Line(wire, at, at + timedelta(seconds=delay)))
    end = max(line.at for line in lines) + timedelta(hours=2)
    lines.append(Line(router_line(end), end, end))
    return sorted(lines, key=lambda line: line.comes_at)


def frames_of(chance: Random, lines: Sequence[Line]) -> list[bytes]:
    """The lines in frames of any size."""
    cuts = sorted({0, len(lines), *(chance.randrange(len(lines)) for _ in range(len(lines) // 12))})
    return [b"".join(line.wire for line in lines[begin:end]) for begin, end in pairwise(cuts)]


async def posted(door: Door, frames: Sequence[bytes], chance: Random) -> None:
    """Posts them, some twice, and folds now and then."""
    watch = Watch(door.db, RuleBook(), lambda app: "FLAG_", holder="one")
    for frame in frames:
        frame_id = uuid4().hex.upper()
        for _ in range(2 if chance.random() < 0.1 else 1):
            assert (await door.post(frame, frame_id=frame_id)).status_code == 204
        if chance.random() < 0.5:
            await watch.turn(LONG_AGO)
    while await watch.turn(LONG_AGO):
        pass


async def incidents(door: Door) -> list[tuple[Any, ...]]:
    """Rule, subject, severity, begin, end and count of each, and what its last step says."""
    async with door.db.read() as conn:
        rows = await conn.execute(
            text(
                "select rule, subject, severity, opened_at, resolved_at, count, (select note from transitions"
                " where incident_id = incidents.id order by number desc limit 1) as note"
                " from incidents order by opened_at, rule, subject"
            )
        )
        return [tuple(row) for row in rows]


def backtested(lines: Sequence[Line]) -> list[tuple[Any, ...]]:
    """The same of a backtest over the lines in order."""
    in_order = b"".join(line.wire for line in sorted(lines, key=lambda line: line.at))
    frame = read_frame(in_order, Origin(APP, "production"), datetime.now(UTC), READING)
    events = [type(event)(**{**_fields(event), "id": uuid4()}) for event in frame.events]
    batch = Batch(events, frame.newest_at, minutes_of(frame.traffic))
    rules = RuleBook().for_app(APP, "production")
    found: list[Occurrence] = lives(backtest(rules, [batch], origin=Origin(APP, "production")))
    return [(one.rule, one.key, int(one.severity), one.fired_at, one.cleared_at, one.count) for one in found]


def _fields(event: object) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__slots__}  # type: ignore[attr-defined]


async def live(url: str, folder: Path, lines: Sequence[Line], chance: Random) -> list[tuple[Any, ...]]:
    async with (
        town_of(url, folder) as town,
        town.door(DRAINWATCH_CONFIG=str(SAMPLES / "drainwatch.toml")) as door,
    ):
        await posted(door, frames_of(chance, lines), chance)
        return await incidents(door)


@pytest.mark.parametrize("seed", [1])
async def test_lines_posted_in_any_frames_and_order_within_ten_seconds_give_what_a_backtest_gives(
    embedded_url: str, tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    lines = told_to_one_app(chance, late=0.0)
    found = await live(embedded_url, tmp_path, lines, chance)
    assert len(found) > 12
    assert [one[:-1] for one in found] == backtested(lines)


@pytest.mark.parametrize("seed", [3, 21])
async def test_lines_that_come_minutes_late_count_where_they_belong_or_close_what_they_show_was_not_so(
    embedded_url: str, tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    lines = told_to_one_app(chance, late=0.02)
    found = await live(embedded_url, tmp_path, lines, chance)
    assert [one[:-1] for one in found if one[-1] != NOT_SO] == backtested(lines)


async def test_a_line_that_came_too_late_to_prevent_an_incident_closes_it_and_says_so(
    embedded_url: str, tmp_path: Path
) -> None:
    def promotion(step: str, state: str, ts: str) -> bytes:
        said = f"promotion_id=42 flag_key=new_checkout target_app={APP} state={state}"
        return message("app", "web.1", f"INFO console.flags: console.flag.promotion.{step} {said}", ts)

    begun, clock = promotion("started", "deploying", "12:00"), router_line("12:31")
    ended = promotion("deployed", "deployed", "12:25")
    async with town_of(embedded_url, tmp_path) as town, town.door() as door:
        await posted(door, [begun, clock], Random(0))
        assert [one[0] for one in await incidents(door) if one[4] is None] == ["stuck_promotion"]
        await posted(door, [ended], Random(0))
        [one] = [one for one in await incidents(door) if one[0] == "stuck_promotion"]
    assert one[-1] == NOT_SO
    assert one[4] is not None
