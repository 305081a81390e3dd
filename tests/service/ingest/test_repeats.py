"""A frame that is sent again: in one batch, by two committers, by two processes, around a lost connection."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
import zstandard
from sqlalchemy import text

from gate import Gate, gate_before
from keeping import READING, drain_of
from parsers.frame import Reading, read_frame, read_lines
from parsers.line import Origin
from service.errors import StoreAway
from service.ingest import commit
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Named, Posted
from service.ingest.tallies import Kept
from service.store import partitions
from service.store.database import Database
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey
from vocabulary import dropped, frame_of, message

APP = "raxx-api-prod"


def digest(name: str) -> bytes:
    return uuid5(UUID(int=0), name).bytes


def sent(drain: DrainCredentials, name: str, *, loss: int | None = None) -> Waiting:
    """A frame of one line, and, where Logplex says that it lost something, the L10 line of this try in front."""
    head = [dropped(loss, "12:00")] if loss is not None else []
    body = frame_of(*head, message("app", "web.1", f"frame {name}"))
    frame = read_frame(body, Origin(drain.app, drain.environment), datetime.now(UTC), READING)
    key = FrameKey(drain.app_id, drain.id, digest(name))
    head_key = FrameKey(drain.app_id, drain.id, digest(f"{name}/{loss}")) if head else None
    return Waiting(Named(drain, frame, key, head_key), asyncio.get_running_loop().create_future())


async def kept(db: Database) -> Counter[str]:
    """How often each text is kept."""
    async with db.read() as conn:
        bodies = list(await conn.scalars(text("select body from chunks")))
    lines = b"".join(zstandard.ZstdDecompressor().decompress(body) for body in bodies)
    return Counter(line.text for line in read_lines(lines, datetime.now(UTC)))


def loss(number: int) -> str:
    return f"Error L10 (output buffer overflow): {number} messages dropped since 2026-05-11T12:00:00+00:00."


async def keep_all(group_commit: GroupCommit, *frames: Waiting) -> None:
    keeping = [asyncio.create_task(group_commit.keep(one)) for one in frames]
    await asyncio.sleep(0)  # so that they wait together
    running = asyncio.create_task(group_commit.run())
    await asyncio.gather(*keeping)
    group_commit.close()
    await running


async def test_tries_of_one_frame_in_one_batch_are_stored_once_with_the_l10_line_of_each(db: Database) -> None:
    drain = await drain_of(db, APP)
    tries = [sent(drain, "a"), sent(drain, "a", loss=1), sent(drain, "a", loss=2), sent(drain, "a", loss=1)]
    await keep_all(GroupCommit(db), *tries)
    assert await kept(db) == {"frame a": 1, loss(1): 1, loss(2): 1}


async def test_a_first_try_with_an_l10_line_is_stored_whole_and_later_ones_add_theirs(db: Database) -> None:
    drain = await drain_of(db, APP)
    for number in (1, None, 2, 1):
        await keep_all(GroupCommit(db), sent(drain, "a", loss=number))
    assert await kept(db) == {"frame a": 1, loss(1): 1, loss(2): 1}
    async with db.read() as conn:
        codes = list(await conn.execute(text("select code, place from events order by received_at, id")))
    assert [tuple(row) for row in codes] == [("L10", 0), ("L10", 0)]


async def test_what_a_spool_brings_after_days_is_a_repeat_of_what_was_kept_before_it_came(db: Database) -> None:
    drain, now = await drain_of(db, APP), datetime.now(UTC)
    await keep_all(GroupCommit(db), sent(drain, "a"))
    async with db.begin() as conn:
        await partitions.ensure(conn, now - timedelta(hours=30))
    async with db.begin() as conn:  # as if that had been so long ago
        age = "received_at = received_at - interval '30 hours', day = day - 2"
        await conn.execute(text(f"update frames set {age}"))
    conn = await db.asyncpg()
    for name, hours in (("a", 29), ("b", 29), ("b", 1)):
        late = sent(drain, name).frame
        assert isinstance(late, Named)
        late.received_at = now - timedelta(hours=hours)
        await commit.commit_late(conn, [late], careful=False)
    await conn.close()
    assert await kept(db) == {"frame a": 1, "frame b": 1}


async def test_two_processes_with_the_same_frames_in_other_orders_store_each_once(db: Database) -> None:
    drain = await drain_of(db, APP)
    names = [f"{number}" for number in range(200)]
    chance = random.Random(7)
    processes = [GroupCommit(db) for _ in range(3)]
    orders = [chance.sample(names, len(names)) for _ in processes]
    await asyncio.gather(
        *(
            keep_all(process, *(sent(drain, name) for name in order))
            for process, order in zip(processes, orders, strict=True)
        )
    )
    assert await kept(db) == {f"frame {name}": 1 for name in names}


@pytest.mark.parametrize("by", ["twice in a batch", "a spool"])
async def test_a_frame_and_the_l10_line_in_front_of_it_lock_nobody_out_in_whatever_order_their_names_stand(
    db: Database, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    drain = await drain_of(db, APP)
    body = frame_of(dropped(3, "12:00"), message("app", "web.1", "frame a"))
    tries = (Posted(drain, body, b"%d" % number, datetime.now(UTC)) for number in range(100))
    one = next(one for one in tries if (head := one.read(READING).head_key) and head.digest < one.key.digest)
    read_all, held, claimed = commit.read_all, asyncio.Event(), asyncio.Event()

    async def slowly(batch: Sequence[Posted | Named], reading: Reading) -> list[Named]:
        """One process has claimed the frame, and reads until the other one waits for it."""
        if not held.is_set():
            held.set()
            await claimed.wait()
            await asyncio.sleep(0.2)
        return await read_all(batch, reading)

    async def other() -> list[Kept]:
        await held.wait()
        await asyncio.sleep(0.1)
        claimed.set()
        if by == "a spool":
            return await commit.commit_late(second, [one.read(READING)], careful=False)
        return (await commit.read_and_commit(second, [one, replace(one)], READING, careful=False))[1]

    monkeypatch.setattr(commit, "read_all", slowly)
    first, second = await db.asyncpg(), await db.asyncpg()
    (_, stored), repeated = await asyncio.gather(commit.read_and_commit(first, [one], READING, careful=False), other())
    await first.close()
    await second.close()
    assert (len(stored), repeated) == (1, [])
    assert await kept(db) == {"frame a": 1, loss(3): 1}


@pytest.mark.parametrize("after", [0.0, 0.0005, 0.003, 0.05])
async def test_a_claim_leaves_no_transaction_on_its_connection_whenever_reading_fails(
    db: Database, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    drain, conn = await drain_of(db, APP), await db.asyncpg()
    one = Posted(drain, frame_of(message("app", "web.1", "frame a")), b"a", datetime.now(UTC))

    async def failing(batch: Sequence[Posted | Named], reading: Reading) -> list[Named]:
        await asyncio.sleep(after)
        raise ValueError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr(commit, "read_all", failing)
        for _ in range(20):
            with pytest.raises(ValueError, match="of ours"):
                await commit.read_and_commit(conn, [one], READING, careful=False)
            assert not conn.is_in_transaction()
    await commit.read_and_commit(conn, [one], READING, careful=False)
    await conn.close()
    assert await kept(db) == {"frame a": 1}


async def test_whatever_is_acknowledged_is_there_once_though_connections_are_cut_at_any_moment(
    embedded_url: str,
) -> None:
    behind = Database.open(embedded_url)
    drain = await drain_of(behind, APP)
    acknowledged: set[str] = set()
    async with gate_before(embedded_url) as gate:
        processes = [GroupCommit(Database.open(gate.url), holds=holds) for holds in (True, False)]
        running = [asyncio.create_task(process.run()) for process in processes]
        cutting = asyncio.create_task(cut_at_random(gate))
        logplex = (send(processes, drain, f"{number}", acknowledged, number) for number in range(150))
        await asyncio.gather(*logplex)
        cutting.cancel()
        await gate.open()
        for process, run in zip(processes, running, strict=True):
            process.close()
            await run
    texts = await kept(behind)
    assert {name for name in texts if name.startswith("frame")} == {f"frame {number}" for number in range(150)}
    assert acknowledged <= set(texts)
    assert set(texts.values()) == {1}
    await behind.close()


async def send(
    processes: list[GroupCommit], drain: DrainCredentials, name: str, acknowledged: set[str], seed: int
) -> None:
    """Sends a frame until it is acknowledged, each time with a new L10 line in front, and now and then once more."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.random())
    more = chance.randrange(3)
    number = 0
    while more >= 0:
        number += 1
        lost = 1000 * int(name) + number
        try:
            async with asyncio.timeout(chance.uniform(0.01, 0.5) * (1 + number / 10)):
                await chance.choice(processes).keep(sent(drain, name, loss=lost))
        except (TimeoutError, StoreAway):
            continue
        acknowledged |= {f"frame {name}", loss(lost)}
        more -= 1


async def cut_at_random(gate: Gate) -> None:
    chance, times = random.Random(3), 0
    while True:
        times += 1
        await asyncio.sleep(chance.uniform(0.05, 0.2) * (1 + times / 20))  # a slow machine has time in the end
        if chance.random() < 0.5:
            gate.deafen()
            await asyncio.sleep(chance.uniform(0.0, 0.05))
        gate.shut()
        await asyncio.sleep(0.02)
        await gate.open()
