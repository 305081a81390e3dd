"""Many frames, one transaction; and what becomes of a row that Postgres refuses."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from keeping import READING, drain_of
from parsers.frame import Frame, read_frame
from parsers.line import Origin
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named
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


async def kept(db: Database, *frames: Waiting) -> None:
    group_commit = GroupCommit(db)
    keeping = [asyncio.create_task(group_commit.keep(one)) for one in frames]
    await asyncio.sleep(0)  # all of them wait before the first commit
    running = asyncio.create_task(group_commit.run())
    await asyncio.gather(*keeping)
    group_commit.close()
    await running


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def test_frames_that_wait_together_become_one_chunk_per_app(db: Database) -> None:
    one, other = await drain_of(db, APP), await drain_of(db, "shop-prod")
    frames = [
        waiting(one, read(one, message("app", "web.1", "a"), crash("web.1"))),
        waiting(other, read(other, up("worker.1"))),
        waiting(one, read(one, crash("web.2"))),
    ]
    await kept(db, *frames)
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
