"""Frames that wait at the same time are read as one, and what is kept is what each says alone."""

import asyncio
import struct
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import zstandard
from sqlalchemy import text

from keeping import READING, drain_of
from parsers.frame import Frame, read_frame, read_lines
from parsers.traffic import pack
from service.ingest.commit import is_refused
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import TOGETHER_BYTES, Named, Posted, read_all
from service.ingest.tallies import Tallies
from service.store.database import Database
from service.store.drains import DrainCredentials
from vocabulary import crash, dropped, frame_of, message, router_line, up

TALK = message("app", "web.1", "hello")
SHOP = DrainCredentials(1, 1, "shop-prod", "production", b"", None, None, None)
OTHER = DrainCredentials(2, 1, "shop-prod", "production", b"", None, None, None)


def posted(
    *messages: bytes, drain: DrainCredentials = SHOP, name: bytes | None = None, declared: bytes | None = None
) -> Posted:
    body = frame_of(*messages) if messages else b"nothing of ours"
    return Posted(drain, body, name or uuid4().bytes, datetime.now(UTC), declared)


def read(*batch: Posted | Named) -> list[Named]:
    return asyncio.run(read_all(batch, READING))


def said(named: list[Named]) -> tuple[bytes, int, Counter[str], int]:
    """What is in some frames, however many were read as one: bytes, messages, events, and how many frames."""
    return (
        b"".join(one.frame.body for one in named),
        sum(one.frame.messages for one in named),
        Counter(event.message for one in named for event in one.frame.events),
        sum(len(one.frame_keys) for one in named),
    )


def test_small_frames_of_a_drain_are_read_as_one_with_the_keys_of_all() -> None:
    batch = [posted(TALK, crash("web.1")), posted(router_line(status=503)), posted(TALK)]
    [together] = read(*batch)
    assert said([together]) == said([one.read(READING) for one in batch])
    assert together.keys == tuple(one.read(READING).key for one in batch)
    assert together.frame.events[1].place == 2


@pytest.mark.parametrize(
    "odd",
    [posted(), posted(dropped(3, "12:00"), TALK), posted(TALK, name=b"twice")],
    ids=["damage", "a line of Logplex's in front", "the same frame again"],
)
def test_what_must_not_be_taken_with_others_is_read_alone_and_so_are_they(odd: Posted) -> None:
    batch = [posted(TALK, name=b"twice"), odd, posted(crash("web.1"))]
    named = read(*batch)
    alone = [one.read(READING) for one in batch]
    assert [(one.keys, one.frame.body, one.frame.damage) for one in named] == [
        (one.keys, one.frame.body, one.frame.damage) for one in alone
    ]


def test_an_octet_count_that_runs_into_the_next_body_is_damage_of_its_own() -> None:
    whole = frame_of(TALK)
    count = len(whole.split(b" ", 1)[1])
    longer = Posted(SHOP, b"%d " % (count + 9) + whole.split(b" ", 1)[1], b"longer", datetime.now(UTC))
    named = read(longer, posted(TALK))
    assert [len(one.frame.damage) for one in named] == [1, 0]


def test_drains_are_read_apart_and_a_large_batch_in_pieces() -> None:
    few = [posted(TALK), posted(TALK, drain=OTHER), posted(TALK)]
    assert [(one.drain.id, one.frame.messages) for one in read(*few)] == [(1, 2), (2, 1)]
    many = [posted(*[TALK] * 100) for _ in range(20)]
    named = read(*many)
    assert all(len(one.frame.body) <= TOGETHER_BYTES for one in named)
    assert said(named) == said([one.read(READING) for one in many])


def test_a_frame_that_was_read_already_keeps_its_place_among_those_of_its_drain() -> None:
    first, second, third = posted(up("web.1")), posted(crash("web.1")), posted(TALK)
    assert [one.frame.body for one in read(first, second.read(READING), third)] == [first.body, second.body, third.body]


def test_a_wrong_message_count_is_told_of_each_frame() -> None:
    [together] = read(posted(TALK, declared=b"1"), posted(TALK, declared=b"2"), posted(TALK, TALK, declared=b"7"))
    assert together.mismatches == 2


async def test_a_repeat_among_new_frames_costs_none_of_them(db: Database) -> None:
    drain = await drain_of(db, "shop-prod")
    tallies = Tallies()
    for names in ((b"a", b"b"), (b"c", b"b", b"d")):
        await keep(
            db, tallies, *(posted(message("app", "web.1", f"frame {n.decode()}"), drain=drain, name=n) for n in names)
        )
    async with db.read() as conn:
        lines: Any = list(await conn.scalars(text("select lines from chunks order by received_at")))
    assert lines == [2, 2]
    [tally] = tallies._tallies.values()
    assert (tally.frames, tally.lines, tally.repeats) == (4, 4, 1)


@pytest.mark.parametrize("names", ["ab bc", "ab cb", "b ab", "ab b"])
async def test_a_frame_that_comes_twice_in_one_batch_is_kept_once_and_its_neighbours_too(
    db: Database, names: str
) -> None:
    """Also where the two are not read together, since each run of letters fills a piece."""
    drain = await drain_of(db, "shop-prod")
    filler = message("app", "web.1", "x" * 9000)
    batch = []
    for piece in names.split():
        for name in piece:
            lines = [filler] * (TOGETHER_BYTES // len(filler) // len(piece))
            batch.append(posted(message("app", "web.1", f"frame {name}"), *lines, drain=drain, name=name.encode()))
    await keep(db, Tallies(), *batch)
    assert await kept_frames(db) == Counter(set(names) - {" "})


async def test_a_body_that_our_own_mistake_keeps_from_being_read_is_damage_and_costs_no_other(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = await drain_of(db, "shop-prod")
    mistaken = frame_of(message("app", "web.1", "mistaken password=hunter2"))

    def wrong(body: bytes, *rest: Any) -> Frame:
        return read_frame(body, *rest) if body != mistaken else 1 / 0  # type: ignore[return-value]

    monkeypatch.setattr("service.ingest.posted.read_frame", wrong)
    monkeypatch.setattr("service.ingest.posted.read_together", lambda *_: 1 / 0)
    batch = [posted(message("app", "web.1", "frame a"), drain=drain), Posted(drain, mistaken, b"m", datetime.now(UTC))]
    await keep(db, Tallies(), *batch)
    assert await kept_frames(db) == {"a": 1}
    async with db.read() as conn:
        [(reason, body)] = await conn.execute(text("select reason, body from quarantine"))
    assert "ZeroDivisionError" in reason
    assert body == mistaken.replace(b"hunter2", b"[redacted]")


async def test_what_cannot_be_written_for_whatever_reason_goes_to_quarantine_alone(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = await drain_of(db, "shop-prod")

    def wrong(minutes: Any) -> bytes:
        if any(minute.by_code for minute in minutes.values()):
            raise struct.error("too many codes")  # as would be for a minute that does not fit its form
        return pack(minutes)

    monkeypatch.setattr("service.ingest.commit.pack", wrong)
    frames = [posted(message("app", "web.1", f"frame {name}"), drain=drain) for name in "abc"]
    await keep(db, Tallies(), *frames, posted(router_line(code="H12"), message("app", "web.1", "frame d"), drain=drain))
    assert await kept_frames(db) == {"a": 1, "b": 1, "c": 1, "d": 1}
    async with db.read() as conn:
        assert (
            await conn.scalar(text("select count(*) from quarantine where convert_from(body, 'utf8') like '%H12%'"))
            == 1
        )


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (asyncpg.UntranslatableCharacterError("…"), True),
        (struct.error("…"), True),
        (ValueError("…"), True),
        (asyncpg.DeadlockDetectedError("…"), False),
        (asyncpg.LockNotAvailableError("…"), False),
        (ConnectionResetError(), False),
        (TimeoutError(), False),
    ],
)
def test_what_may_pass_by_itself_is_no_refusal(error: Exception, refused: bool) -> None:
    assert is_refused(error) is refused


async def kept_frames(db: Database) -> Counter[str]:
    """How often each frame's first line is kept."""
    async with db.read() as conn:
        bodies = list(await conn.scalars(text("select body from chunks")))
    lines = [line for body in bodies for line in read_lines(zstandard.decompress(body), datetime.now(UTC))]
    return Counter(line.text.removeprefix("frame ") for line in lines if line.text.startswith("frame "))


async def keep(db: Database, tallies: Tallies, *frames: Posted) -> None:
    """Commits frames that wait together."""
    group_commit = GroupCommit(db, tallies, READING)
    loop = asyncio.get_running_loop()
    keeping = [asyncio.create_task(group_commit.keep(Waiting(one, loop.create_future()))) for one in frames]
    await asyncio.sleep(0)
    running = asyncio.create_task(group_commit.run())
    await asyncio.gather(*keeping)
    group_commit.close()
    await running
