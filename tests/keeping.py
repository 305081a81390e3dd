"""The words for what is already kept when a test begins: frames of an app, committed as the drain endpoint commits them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from parsers.frame import read_frame
from parsers.line import Origin
from service.app import reading_of
from service.errors import Refused
from service.ingest import drains
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named
from service.settings import read_settings
from service.store import drains as rows
from service.store.database import Database
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey
from vocabulary import frame_of

PUBLIC_URL = "https://logs.example.com"
# The packaged defaults, and what `make run` adds.
SAMPLES = Path(__file__).parent.parent / "samples"
READING = reading_of(read_settings({"DRAINWATCH_CONFIG": str(SAMPLES / "drainwatch.toml")}))


async def drain_of(db: Database, app: str, environment: str = "production") -> DrainCredentials:
    """The app's drain, added where it has none."""
    async with db.read() as conn:
        known = await rows.find(conn, app)
    if not known:
        await drains.add(db, app=app, environment=environment, logplex_token=None, public_url=PUBLIC_URL)
        return await drain_of(db, app)
    return known[0]


async def keep(db: Database, app: str, *messages: bytes, environment: str = "production") -> None:
    """Commits one frame of an app: its chunk, events and damage. Frames kept one after the other arrive in that order."""
    drain = await drain_of(db, app, environment)
    frame = read_frame(frame_of(*messages), Origin(app, drain.environment), datetime.now(UTC), READING)
    group_commit = GroupCommit(db)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:  # a committer that fails must not leave the test waiting
        group.create_task(group_commit.run())
        await group_commit.keep(
            Waiting(Named(drain, frame, FrameKey(drain.app_id, drain.id, uuid4().bytes), None), done)
        )
        group_commit.close()


def status_of(refused: Refused) -> tuple[int, str | None]:
    """What was refused: the status, and the parameter that is wrong."""
    return refused.status, refused.parameter
