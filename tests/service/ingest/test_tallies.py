"""What is counted of each drain: over a real socket, as the list of drains shows it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from counting import Gained
from door import APP, Door, basic
from keeping import READING, drain_of
from parsers.frame import Frame, read_frame
from parsers.line import Origin
from service.errors import StoreAway
from service.ingest import drains
from service.ingest.admission import Admission
from service.ingest.authentication import Authentication
from service.ingest.endpoint import DrainEndpoint, Limits
from service.ingest.group_commit import GroupCommit
from service.ingest.tallies import Kept, Tallies
from service.store import drains as rows
from service.store.database import Database
from service.store.drain_counts import DrainCounts
from service.store.drains import DrainCredentials
from vocabulary import counted as octet_counted
from vocabulary import crash, dropped, frame_of, message, seconds_after, up

ADMIN = "dw_admin_of_this_test"
TALK = message("app", "web.1", "hello")
TOKEN = "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"


@dataclass
class Counting:
    """A door, and its list of drains."""

    door: Door

    async def drain(self, at: int = 0) -> Any:
        """The `at`-th drain of the list, with what it has sent."""
        answer = await self.door.client.get("/v1/drains", headers={"Authorization": f"Bearer {ADMIN}"})
        return answer.json()["items"][at]


@pytest_asyncio.fixture(loop_scope="session")
async def db(emptied_url: str) -> AsyncIterator[Database]:
    """One server is enough for counting."""
    opened = Database.open(emptied_url)
    yield opened
    await opened.close()


@pytest.fixture
async def open_counting(open_door: Callable[..., Any]) -> Callable[..., Any]:
    async def open_(**environment: str) -> Counting:
        return Counting(await open_door(DRAINWATCH_ADMIN_TOKEN=ADMIN, **environment))

    return open_


@pytest.fixture
async def here(open_counting: Callable[..., Any]) -> Counting:
    """A door that counts."""
    counting: Counting = await open_counting()
    return counting


async def test_frames_and_lines_are_counted_once_and_what_comes_again_as_repeats(here: Counting) -> None:
    gained = Gained("frames_total", "messages_total", "repeats_total")
    before = datetime.now(UTC)
    for frame_id in ("A", "B", "A", "A"):
        await here.door.post(frame_of(TALK, crash("web.1")), frame_id=frame_id)

    drain = await here.drain()

    assert (drain["frames"], drain["lines"], drain["repeats"]) == (2, 4, 2)
    assert drain["bytes"] == 2 * len(frame_of(TALK, crash("web.1")))
    assert before <= datetime.fromisoformat(drain["last_heard_at"]) <= datetime.now(UTC)
    assert gained() == [2, 4, 2]


async def test_one_frame_sent_by_many_at_once_is_one_frame_and_its_repeats(here: Counting) -> None:
    await asyncio.gather(*(here.door.post(frame_of(TALK), frame_id="F") for _ in range(10)))

    drain = await here.drain()

    assert (drain["frames"], drain["lines"], drain["repeats"]) == (1, 1, 9)


async def test_the_line_in_front_of_a_repeat_is_a_line_and_no_frame(here: Counting) -> None:
    await here.door.post(frame_of(TALK), frame_id="F")
    await here.door.post(frame_of(dropped(2, "11:59"), TALK), frame_id="F")

    drain = await here.drain()

    assert (drain["frames"], drain["lines"], drain["repeats"], drain["lost"]) == (1, 2, 1, 2)


async def test_each_refusal_is_counted_with_the_drain_whose_lines_it_cost(open_counting: Callable[..., Any]) -> None:
    here = await open_counting(DRAINWATCH_MAX_BODY="1 KiB")
    other = await drains.add(
        here.door.db, app=APP, environment="production", logplex_token=TOKEN, public_url="https://logs.example.com"
    )
    refused = Gained("answers_total", status="413"), Gained("answers_total", status="403")

    await here.door.post(b"x" * 1025)
    await here.door.post(b"x" * 1025)
    await here.door.post(frame_of(TALK), Content_Type="application/json")
    await here.door.post(frame_of(TALK), Authorization=basic(APP, other.secret), Logplex_Drain_Token="d.another")

    assert (await here.drain(0))["refusals"] == {"413": 2, "415": 1}
    assert (await here.drain(1))["refusals"] == {"403": 1}
    assert (await here.drain(0))["last_refused_at"] is not None
    assert [one() for one in refused] == [[2], [1]]


async def test_a_wrong_secret_is_counted_with_its_app_and_a_stranger_with_nobody(here: Counting) -> None:
    refused = Gained("answers_total", status="401")
    await here.door.post(frame_of(TALK), Authorization=basic(APP, "wrong"))
    await here.door.post(frame_of(TALK), Authorization=basic("nobody", "wrong"))
    await here.door.client.post("/drain", content=frame_of(TALK))

    drain = await here.drain()

    assert drain["refusals"] == {"401": 1}
    assert drain["last_heard_at"] is None
    assert refused() == [3]


async def test_what_is_not_stored_within_the_time_is_a_refusal(db: Database) -> None:
    added = await drains.add(db, app=APP, environment="production", logplex_token=None, public_url="https://x.example")
    tallies, nobody_commits = Tallies(), GroupCommit(db)
    endpoint = DrainEndpoint(
        Authentication(db),
        Admission(1 << 20),
        nobody_commits,
        READING,
        Limits(max_body=1 << 20, hold_s=0.1),
        tallies,
    )
    headers = [
        (b"authorization", basic(APP, added.secret).encode()),
        (b"content-type", b"application/logplex-1"),
        (b"content-length", b"%d" % len(TALK)),
    ]
    statuses = []

    async def receive() -> Any:
        return {"type": "http.request", "body": TALK}

    async def send(sent: Any) -> None:
        statuses.append(sent.get("status"))

    await endpoint({"type": "http", "method": "POST", "headers": headers}, receive, send)
    await tallies.keep(db)

    assert statuses[0] == 503
    seen = await counts(db)
    assert (seen.refusals, seen.frames, seen.heard_at is None) == ({"503": 1}, 0, False)


async def test_a_count_that_differs_from_what_was_found_is_counted_and_never_refused(here: Counting) -> None:
    gained = Gained("count_mismatches_total")
    answers = [
        await here.door.post(frame_of(TALK, TALK), Logplex_Msg_Count=said, X_Request_Id=said)
        for said in ("2", "3", "-1", "two")
    ]
    answers.append(await here.door.post(frame_of(TALK)))

    assert {answer.status_code for answer in answers} == {204}
    assert (await here.drain())["count_mismatches"] == 3
    assert gained() == [3]


async def test_what_goes_to_quarantine_is_counted(here: Counting) -> None:
    gained = Gained("quarantined_total")
    await here.door.post(TALK + b"garbage in between " + TALK + b"more of it")

    drain = await here.drain()

    assert (drain["frames"], drain["lines"], drain["damaged"]) == (1, 2, 2)
    assert drain["bytes"] == len(TALK + b"garbage in between " + TALK + b"more of it")
    assert gained() == [2]


async def test_what_logplex_dropped_is_the_greatest_count_of_each_since(here: Counting) -> None:
    for count, since in ((3, "11:59"), (10, "11:59"), (7, "11:59"), (5, "11:59:30.5")):
        await here.door.post(frame_of(dropped(count, since), TALK))

    drain = await here.drain()

    assert drain["lost"] == 15
    assert drain["last_lost_at"] is not None


async def test_a_loss_of_another_drain_that_is_named_by_its_token_is_not_this_ones(here: Counting) -> None:
    def of(token: str) -> bytes:
        text = (
            f"Error L10 (output buffer overflow): drain '{token}' dropped 4 messages since 2026-05-11T11:59:00+00:00."
        )
        return octet_counted(f"<172>1 2026-05-11T12:00:00+00:00 host heroku logplex - {text}")

    await here.door.post(frame_of(of("d.0"), TALK), Logplex_Drain_Token=TOKEN)
    assert (await here.drain())["lost"] == 0
    await here.door.post(frame_of(of(TOKEN), TALK), Logplex_Drain_Token=TOKEN)
    assert (await here.drain())["lost"] == 4


async def test_an_app_that_prints_a_loss_has_lost_nothing(here: Counting) -> None:
    said = "Error L10 (output buffer overflow): 3 messages dropped since 2026-05-11T11:59:00+00:00."
    await here.door.post(frame_of(message("app", "web.1", said)))

    assert (await here.drain())["lost"] == 0


async def test_the_skew_is_how_long_after_their_own_time_lines_come(here: Counting) -> None:
    now = datetime.now(UTC)
    for seconds in (60.0, 60.5, -3600.0):
        await here.door.post(frame_of(up("web.1", seconds_after(now, -900)), up("web.2", seconds_after(now, -seconds))))

    assert 60_000 <= (await here.drain())["clock_skew_ms"] < 65_000


async def test_a_clock_that_is_ahead_has_a_negative_skew_and_without_a_line_there_is_none(here: Counting) -> None:
    await here.door.post(b"noise")
    assert (await here.drain())["clock_skew_ms"] is None
    await here.door.post(frame_of(up("web.1", seconds_after(datetime.now(UTC), 30))))
    assert -30_000 <= (await here.drain())["clock_skew_ms"] < -20_000


async def test_two_processes_add_up(open_counting: Callable[..., Any]) -> None:
    first, second = await open_counting(), await open_counting()
    await first.door.post(frame_of(TALK), frame_id="1")
    await second.door.post(frame_of(TALK), frame_id="2", Authorization=basic(APP, first.door.secret))

    await first.drain()  # tells what it has counted

    assert (await second.drain())["frames"] == 2


# -- without a door --------------------------------------------------------------------------------------------------


async def counts(db: Database) -> DrainCounts:
    async with db.read() as conn:
        return (await rows.listed(conn))[0].counts


def frame(drain: DrainCredentials, *messages: bytes) -> Frame:
    return read_frame(frame_of(*messages), Origin(drain.app, drain.environment), datetime.now(UTC), READING)


async def test_what_was_counted_while_the_database_was_away_is_told_when_it_is_back(db: Database) -> None:
    away = Database.open("postgres://127.0.0.1:1/none")
    drain, tallies = await drain_of(db, APP), Tallies()
    for losses in (3, 8):
        tallies.committed([drain], [Kept(drain, frame(drain, dropped(losses, "11:59"), TALK))], seconds=0.01)
        tallies.refused(drain, 503)
        with pytest.raises(StoreAway):
            await tallies.keep(away)

    await tallies.keep(db)
    await tallies.keep(db)

    seen = await counts(db)
    assert (seen.frames, seen.lines, seen.refusals, seen.lost) == (2, 4, {"503": 2}, 8)


async def test_who_ends_tells_what_it_has_counted(db: Database) -> None:
    drain, tallies = await drain_of(db, APP), Tallies()
    running = asyncio.create_task(tallies.run(db))
    await asyncio.sleep(0)
    tallies.heard(drain, {}, datetime.now(UTC))

    tallies.close()
    await running

    assert (await counts(db)).heard_at is not None


async def test_a_loss_whose_since_cannot_be_read_is_one_of_its_own(db: Database) -> None:
    drain, tallies = await drain_of(db, APP), Tallies()
    for since, second in (("yesterday", 1), ("0001-01-01T00:00:00+23:59", 2), ("yesterday", 3)):
        text = f"Error L10 (output buffer overflow): 4 messages dropped since {since}."
        said = frame(drain, octet_counted(f"<172>1 2026-05-11T12:00:0{second}+00:00 host heroku logplex - {text}"))
        tallies.committed([drain], [Kept(drain, said)], seconds=0.01)

    await tallies.keep(db)

    assert (await counts(db)).lost == 12


async def test_a_commit_is_counted_with_its_frames_bytes_and_events(db: Database) -> None:
    drain = await drain_of(db, APP)
    commits = Gained("commit_seconds_count", "commit_frames_sum", "commit_bytes_sum", "bytes_total")
    states, dyno_errors = Gained("events_total", kind="dyno_state"), Gained("events_total", kind="dyno_error")
    kept = [Kept(drain, frame(drain, TALK, up("web.1"), up("web.2"))), Kept(drain, frame(drain, crash("web.1")))]

    Tallies().committed([drain, drain], kept, seconds=0.01)

    size = sum(len(one.frame.body) for one in kept)
    assert commits() == [1, 2, size, size]
    assert (states(), dyno_errors()) == ([3], [0])


def test_memory_does_not_grow_with_the_frames_of_a_drain() -> None:
    drain = DrainCredentials(1, 1, APP, "production", b"", None, None, None)
    tallies, quiet = Tallies(), frame(drain, TALK)

    for _ in range(1000):
        tallies.read(drain, quiet, datetime.now(UTC), mismatches=0)

    [tally] = tallies._tallies.values()
    assert len(tally.skews) < 50
    assert all(isinstance(skew, timedelta) for skew in tally.skews)
