"""With a spool: what is posted while the database is away is kept on the disk, answered 204, and committed when it is back."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
import zstandard
from sqlalchemy import text

from door import APP, Door, basic
from gate import Gate, gate_before
from processes import eventually
from service.app import listen, serve_web
from service.ingest import drains
from service.settings import read_settings
from service.store.database import Database
from vocabulary import crash, dropped, frame_of, message, up

PUBLIC_URL = "https://logs.example.com"


def talk(number: int) -> bytes:
    return message("app", "web.1", f"line {number}")


class Town:
    """A database with a gate before it, a folder for the spool, and the web processes that share both."""

    def __init__(self, db: Database, gate: Gate, folder: Path, secret: str) -> None:
        self.db = db
        self.gate = gate
        self.folder = folder
        self.secret = secret

    @asynccontextmanager
    async def door(self, *, hold_s: float = 4.0, **environment: str) -> AsyncIterator[Door]:
        """A web process."""
        stop = asyncio.Event()
        settings = read_settings(
            {"DATABASE_URL": self.gate.url, "DRAINWATCH_SPOOL": str(self.folder), "PORT": "1", **environment}
        )
        settings = replace(settings, ingest=replace(settings.ingest, hold_s=hold_s))
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        behind = Database.open(self.gate.url)
        serving = asyncio.create_task(serve_web(settings, behind, stop, listening))
        client = httpx.AsyncClient(base_url=url, timeout=10)
        opened = Door(url, client, self.secret, self.db)
        try:
            await eventually(lambda: answers(client), lambda is_there: is_there)
            yield opened
        finally:
            stop.set()
            await client.aclose()
            await serving
            await behind.close()

    @property
    def files(self) -> list[Path]:
        """The spool's files."""
        return sorted(self.folder.glob("*.spool"))

    async def lines(self) -> list[str]:
        """The texts of all lines that are kept, in the order in which they were received."""
        async with self.db.read() as conn:
            rows = await conn.execute(text("select body from chunks order by received_at, id"))
        bodies = [zstandard.ZstdDecompressor().decompress(row.body).decode() for row in rows]
        return [line.rpartition(" - ")[2] for body in bodies for line in body.splitlines()]


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.HTTPError:
        return False


async def timed(posting: Awaitable[httpx.Response]) -> tuple[int, float]:
    """An answer's status, and how long it took."""
    began = monotonic()
    answer = await posting
    return answer.status_code, monotonic() - began


@pytest.fixture
async def town(embedded_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    db = Database.open(embedded_url)
    drain = await drains.add(db, app=APP, environment="production", logplex_token=None, public_url=PUBLIC_URL)
    async with gate_before(embedded_url) as gate:
        yield Town(db, gate, tmp_path / "spool", drain.secret)
    await db.close()


async def test_what_is_posted_while_the_database_is_away_is_answered_at_once_and_kept_in_order(town: Town) -> None:
    async with town.door() as door:
        assert (await door.post(frame_of(talk(0)), frame_id="0")).status_code == 204
        town.gate.shut()
        took = [await timed(door.post(frame_of(talk(number)), frame_id=str(number))) for number in range(1, 20)]
        assert {status for status, _ in took} == {204}
        assert max(seconds for _, seconds in took) < 1
        assert await town.lines() == ["line 0"]
        away_until = datetime.now(UTC)
        await town.gate.open()
        await eventually(town.lines, lambda kept: len(kept) == 20, seconds=2)
        assert await town.lines() == [f"line {number}" for number in range(20)]
        [row] = await door.rows("select max(received_at) from chunks")
        assert row[0] <= away_until
        await eventually(lambda: files(town), lambda found: found == [])


async def files(town: Town) -> list[Path]:
    return town.files


async def test_a_database_that_does_not_answer_costs_one_frame_two_seconds_and_the_next_none(town: Town) -> None:
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.deafen()
        first = await timed(door.post(frame_of(talk(1)), frame_id="1"))
        second = await timed(door.post(frame_of(talk(2)), frame_id="2"))
        assert (first[0], second[0]) == (204, 204)
        assert first[1] < 3.5
        assert second[1] < 1
        town.gate.undeafen()
        await eventually(town.lines, lambda kept: len(kept) == 3, seconds=2)
        assert sorted(await town.lines()) == ["line 0", "line 1", "line 2"]


async def test_a_frame_of_whose_commit_nobody_knows_is_stored_once(town: Town) -> None:
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.deafen()  # the commit arrives, and its answer does not
        assert (await door.post(frame_of(talk(1)), frame_id="1")).status_code == 204
        town.gate.shut()
        assert (await door.post(frame_of(talk(1)), frame_id="1")).status_code == 204
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        assert await town.lines() == ["line 0", "line 1"]


async def test_a_repeat_is_stored_once_whichever_of_the_two_is_committed_first(town: Town) -> None:
    loss = dropped(2, "12:00")
    async with town.door() as door:
        assert (await door.post(frame_of(talk(0)), frame_id="before")).status_code == 204
        town.gate.shut()
        for frame_id in ("before", "during", "during", "after"):
            assert (await door.post(frame_of(talk(1)), frame_id=frame_id)).status_code == 204
        assert (await door.post(frame_of(loss, talk(1)), frame_id="during")).status_code == 204
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        assert (await door.post(frame_of(talk(1)), frame_id="after")).status_code == 204
        assert await door.rows("select sum(lines) from chunks") == [(4,)]
        assert await door.rows("select code from events") == [("L10",)]


async def test_events_are_as_if_they_had_been_committed_when_they_came(town: Town) -> None:
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        began = datetime.now(UTC)
        ahead = began + timedelta(hours=2)
        await door.post(frame_of(crash("web.1", ahead), up("web.1", ahead)) + b"rubbish", frame_id="1")
        ended = datetime.now(UTC)
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        rows = await door.rows("select dyno, place, ts, received_at, id, chunk_id from events order by place")
        assert [(row.dyno, row.place, row.ts) for row in rows] == [("web.1", 0, ahead), ("web.1", 1, ahead)]
        assert all(began <= row.received_at <= ended for row in rows)
        [pending] = await door.rows("select * from pending where events > 0")
        assert pending.newest_at == pending.received_at  # what comes from the future counts at its arrival
        [damage] = await door.rows("select body, received_at from quarantine")
        assert damage.body == b"rubbish"
        assert began <= damage.received_at <= ended


async def test_frames_of_many_apps_and_days_find_their_partitions(town: Town) -> None:
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        await door.post(frame_of(talk(1), crash("web.1")), frame_id="1")
        today = f"{datetime.now(UTC):%Y_%m_%d}"
        async with town.db.begin() as conn:
            await conn.execute(text(f"drop table chunks_{today}"))
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        assert await door.rows("select sum(lines) from chunks") == [(2,)]
        assert await door.rows("select count(*) from quarantine") == [(0,)]


async def test_a_spool_that_is_full_holds_and_then_refuses_and_takes_frames_again_once_it_is_drained(
    town: Town, capfd: Any
) -> None:
    async with town.door(DRAINWATCH_SPOOL_MAX="64 KiB", hold_s=1.0) as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        large = [
            frame_of(*(message("app", "web.1", noise(8 * number + line)) for line in range(8))) for number in range(12)
        ]
        posting = [timed(door.post(body, frame_id=f"l-{number}")) for number, body in enumerate(large)]
        found = await asyncio.gather(*posting)
        taken = sum(status == 204 for status, _ in found)
        assert 0 < taken < 12
        assert {status for status, _ in found} == {204, 503}
        assert all(0.9 < seconds < 1.5 for status, seconds in found if status == 503)
        assert sum(path.stat().st_size for path in town.files) <= 64 << 10
        assert "at=spool.refuses level=error" in capfd.readouterr().err
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        assert (await door.rows("select sum(lines) from chunks"))[0][0] == 1 + 8 * taken
        town.gate.shut()
        assert (await door.post(large[-1], frame_id="again")).status_code == 204
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])


async def test_a_frame_that_the_spool_has_no_room_for_is_committed_if_the_database_returns_in_time(town: Town) -> None:
    async with town.door(DRAINWATCH_SPOOL_MAX="1 KiB") as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        posting = asyncio.create_task(timed(door.post(frame_of(message("app", "web.1", noise(1))), frame_id="1")))
        await asyncio.sleep(0.5)
        await town.gate.open()
        status, seconds = await posting
        assert status == 204
        assert seconds < 3
        assert len(await town.lines()) == 2


async def test_who_starts_while_the_database_is_away_knows_who_may_post_by_what_the_spool_remembers(town: Town) -> None:
    async with town.door():
        await eventually(lambda: remembered(town), lambda there: there)
        assert town.secret not in (town.folder / "drains.json").read_text()
        assert (town.folder / "drains.json").stat().st_mode & 0o777 == 0o600
    town.gate.shut()
    async with town.door(hold_s=1.0) as door:
        right = timed(door.post(frame_of(talk(1)), frame_id="1"))
        wrong = timed(door.post(frame_of(talk(2)), frame_id="2", Authorization=basic(APP, "perhaps-a-new-one")))
        other = timed(door.post(frame_of(talk(3)), frame_id="3", Authorization=basic("perhaps-new", "x")))
        found = await asyncio.gather(right, wrong, other)
        assert [status for status, _ in found] == [204, 503, 503]
        assert found[0][1] < 1
        assert max(seconds for _, seconds in found) < 1.5
        await town.gate.open()
        await eventually(town.lines, lambda kept: kept == ["line 1"], seconds=2)


async def remembered(town: Town) -> bool:
    return (town.folder / "drains.json").exists()


async def test_a_process_takes_over_what_another_has_left(town: Town) -> None:
    async with town.door() as first, town.door() as second:
        await first.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        for number in range(1, 4):
            await first.post(frame_of(talk(number)), frame_id=str(number))
            await second.post(frame_of(talk(10 + number)), frame_id=f"s-{number}")
        assert (
            len(town.files) >= 2
        )  # one may have taken the other's when it was made and not locked yet, and made another
        left = max(town.files, key=lambda file: file.stat().st_size)
        # As a kill would leave it: nobody holds the file any more, and its end was not written.
        kept = left.read_bytes()
        await town.gate.open()
        await eventually(lambda: files(town), lambda found: found == [])
        left.write_bytes(kept[:-3])
        await eventually(lambda: files(town), lambda found: found == [])
        assert len(await town.lines()) == 7


async def test_after_the_end_of_a_process_the_next_one_drains_what_it_left(town: Town) -> None:
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        await eventually(lambda: remembered(town), lambda there: there)
        town.gate.shut()
        await door.post(frame_of(talk(1)), frame_id="1")
    assert len(town.files) == 1
    await town.gate.open()
    async with town.door():
        await eventually(town.lines, lambda kept: kept == ["line 0", "line 1"], seconds=2)
        await eventually(lambda: files(town), lambda found: found == [])


async def test_planted_secrets_are_in_no_file_of_the_spool_and_in_no_table(town: Town) -> None:
    planted = {
        "named": "hunter2hunter2",
        "bearer": "Zk9zR2pQ7uVw1xYt",
        "url": "s3cr3tInUrl99",
        "query": "QueryStringSecret77",
    }
    said = [
        f"login password={planted['named']} ok",
        f"authorization: Bearer {planted['bearer']}",
        f"connecting to postgres://user:{planted['url']}@db/x",
    ]
    lines = [message("app", "web.1", one) for one in said]
    lines.append(
        message("heroku", "router", f'at=info method=GET path="/a?token={planted["query"]}" host=h status=200')
    )
    body = frame_of(*lines) + f"junk password={planted['named']} ".encode() + lines[0]
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        assert (await door.post(body, frame_id="1")).status_code == 204
        assert (await door.post(gzip.compress(body), Content_Encoding="gzip", frame_id="2")).status_code == 204
        stored = gzip.compress(body, compresslevel=0)[:-4]  # as broken gzip, in which the text still stands
        assert (await door.post(stored, Content_Encoding="gzip", frame_id="3")).status_code == 204
        found = b"".join(unpacked(path) for path in town.files)
        assert b"[redacted]" in found
        assert not [name for name, secret in planted.items() if secret.encode() in found]
        await town.gate.open()
        await eventually(lambda: files(town), lambda left: left == [])
    kept = b"".join([await everything(town.db), *(path.read_bytes() for path in town.folder.iterdir())])
    assert b"[redacted]" in kept
    assert not [name for name, secret in planted.items() if secret.encode() in kept]


def unpacked(path: Path) -> bytes:
    """A spool's file as it is, and with all in it inflated that can be."""
    data = path.read_bytes()
    parts, at = [data], data.find(zstandard.FRAME_HEADER)
    while at >= 0:
        parts.append(zstandard.ZstdDecompressor().decompressobj().decompress(data[at:]))
        at = data.find(zstandard.FRAME_HEADER, at + 1)
    return b"".join(parts)


async def everything(db: Database) -> bytes:
    """All that the database holds, as text, with the chunks inflated."""
    parts = []
    async with db.read() as conn:
        for (table,) in list(await conn.execute(text("select tablename from pg_tables where schemaname = 'public'"))):
            for (row,) in await conn.execute(text(f"select to_jsonb(t)::text from {table} t")):
                parts.append(row.encode())
        for (body,) in await conn.execute(text("select body from chunks")):
            parts.append(zstandard.ZstdDecompressor().decompress(body))
        for (body,) in await conn.execute(text("select body from quarantine")):
            parts.append(body)
    return b"".join(parts)


def noise(seed: int) -> str:
    """A text of 2,000 letters that cannot be packed much."""
    state, letters = seed + 1, []
    for _ in range(2000):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        letters.append(chr(33 + (state >> 40) % 90))
    return "".join(letters).replace("-", "_")
