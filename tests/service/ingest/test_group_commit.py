"""Many frames, one transaction; and what becomes of a row that Postgres refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from keeping import READING, drain_of
from parsers.frame import Frame, read_frame
from parsers.line import Origin
from service.ingest import group_commit
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named
from service.store import frames
from service.store.database import Database
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey
from vocabulary import crash, frame_of, message, up

APP = "raxx-api-prod"


def waiting(drain: DrainCredentials, frame: Frame, key: bytes | None = None) -> Waiting:
    digest = key or uuid4().bytes
    return Waiting(Named(drain, frame, FrameKey(drain.app_id, drain.id, digest), None), asyncio.Future())


def read(drain: DrainCredentials, *messages: bytes) -> Frame:
    return read_frame(frame_of(*messages), Origin(drain.app, drain.environment), datetime.now(UTC), READING)


async def kept(db: Database, *some: Waiting) -> None:
    committing = GroupCommit(db)
    keeping = [asyncio.create_task(committing.keep(one)) for one in some]
    await asyncio.sleep(0)  # all of them wait before the first commit
    run = asyncio.create_task(committing.run())
    await asyncio.gather(*keeping)
    committing.close()
    await run


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def test_frames_that_wait_together_become_one_chunk_per_app(db: Database) -> None:
    one, other = await drain_of(db, APP), await drain_of(db, "shop-prod")
    together = [
        waiting(one, read(one, message("app", "web.1", "a"), crash("web.1"))),
        waiting(other, read(other, up("worker.1"))),
        waiting(one, read(one, crash("web.2"))),
    ]
    await kept(db, *together)
    assert await rows(db, f"select lines, processes from chunks where app_id = {one.app_id}") == [
        (3, ["web.1", "web.2"])
    ]
    assert await rows(db, "select place, dyno from events order by app_id, place") == [
        (1, "web.1"),
        (2, "web.2"),
        (0, "worker.1"),
    ]


async def test_the_same_frame_twice_in_one_batch_is_stored_once(db: Database) -> None:
    drain, key = await drain_of(db, APP), uuid4().bytes
    await kept(db, *(waiting(drain, read(drain, crash("web.1")), key) for _ in range(3)))
    assert await rows(db, "select sum(lines) from chunks") == [(1,)]


@asynccontextmanager
async def running(db: Database) -> AsyncIterator[GroupCommit]:
    committing = GroupCommit(db)
    run = asyncio.create_task(committing.run())
    yield committing
    committing.close()
    await run


@asynccontextmanager
async def claimed(db: Database, one: Waiting) -> AsyncIterator[None]:
    """Somebody else is about to keep the frame."""
    conn = await db.asyncpg()
    async with conn.transaction():
        await frames.claim(conn, one.frame.frame_keys, received_at=datetime.now(UTC))
        yield
    await conn.close()


async def test_who_was_just_answered_is_waited_for(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GATHERING_SHARE", 1e6)
    monkeypatch.setattr(group_commit, "MOST_GATHERING_SECONDS", 60.0)
    drain = await drain_of(db, APP)
    frame = read(drain, message("app", "web.1", "hello"))
    async with running(db) as keeping:
        for _ in range(3):
            one, other = (asyncio.create_task(keeping.keep(waiting(drain, frame))) for _ in range(2))
            await asyncio.gather(one, other)
        one = asyncio.create_task(keeping.keep(waiting(drain, frame)))
        await asyncio.sleep(0.05)
        await asyncio.gather(one, keeping.keep(waiting(drain, frame)))
    assert await rows(db, "select lines from chunks") == [(2,)] * 4


async def test_while_a_commit_is_under_way_others_gather(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "ALONE_SECONDS", 60.0)
    drain = await drain_of(db, APP)
    frame = read(drain, message("app", "web.1", "hello"))
    repeated = waiting(drain, frame)
    async with running(db) as keeping:
        async with claimed(db, repeated):
            keepings = [asyncio.create_task(keeping.keep(repeated))]
            await asyncio.sleep(0.05)
            for _ in range(3):
                keepings.append(asyncio.create_task(keeping.keep(waiting(drain, frame))))
                await asyncio.sleep(0.05)
            assert keeping.waiting == 3
        await asyncio.gather(*keepings)
    assert await rows(db, "select lines from chunks") == [(3,)]


async def test_a_commit_that_waits_for_a_lock_holds_up_no_other(db: Database) -> None:
    drain = await drain_of(db, APP)
    frame = read(drain, message("app", "web.1", "hello"))
    repeated = waiting(drain, frame)
    async with running(db) as keeping:
        async with claimed(db, repeated):
            stuck = asyncio.create_task(keeping.keep(repeated))
            await asyncio.sleep(0.01)
            async with asyncio.timeout(60):
                await keeping.keep(waiting(drain, frame))
            assert not stuck.done()
        await stuck
    assert await rows(db, "select lines from chunks") == [(1,)]


async def test_a_row_that_postgres_refuses_is_quarantined_and_its_neighbours_commit(db: Database) -> None:
    drain = await drain_of(db, APP)
    frame = read(drain, *(crash(f"web.{number}") for number in range(1, 8)))
    refused = replace(frame.events[4], message="what Postgres cannot keep: \x00")
    bad = replace(frame, events=(*frame.events[:4], refused, *frame.events[5:]))
    good = read(drain, up("web.9"))
    await kept(db, waiting(drain, bad), waiting(drain, good))
    assert await rows(db, "select sum(lines) from chunks") == [(7,)]
    dynos = await rows(db, "select dyno from events order by dyno")
    assert dynos == [("web.1",), ("web.2",), ("web.3",), ("web.4",), ("web.6",), ("web.7",), ("web.9",)]
    [(body, reason)] = await rows(db, "select body, reason from quarantine")
    assert body == crash("web.5")
    assert reason.startswith("Postgres refused it")


async def test_a_commit_that_a_missing_partition_stops_makes_it_and_goes_on(db: Database) -> None:
    today = datetime.now(UTC)
    async with db.begin() as conn:
        await conn.execute(text(f"drop table chunks_{today:%Y_%m_%d}"))
    drain = await drain_of(db, APP)
    await kept(db, waiting(drain, read(drain, crash("web.1"))))
    assert await rows(db, "select sum(lines) from chunks") == [(1,)]
    assert await rows(db, "select count(*) from quarantine") == [(0,)]
