"""What the spool does not take, what the database does not take, and what neither may hold: secrets."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import text

from processes import eventually
from service.ingest import safekeeping
from service.store.database import Database
from town import Town, files, noise, talk, timed, town_of
from vocabulary import frame_of, message


@pytest.fixture
async def town(embedded_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with town_of(embedded_url, tmp_path) as made:
        yield made


async def test_what_the_database_does_not_take_is_kept_and_tried_again_and_holds_up_nothing_else(
    town: Town, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(safekeeping, "STUCK_SECONDS", 2.0)
    async with town.door() as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        await door.post(frame_of(talk(1)) + b"rubbish", frame_id="1")
        async with town.db.begin() as conn:
            await conn.execute(text("alter table quarantine rename to elsewhere"))
        await town.gate.open()
        await eventually(lambda: said(capfd), lambda log: "at=spool.stuck level=error" in log)
        assert (await door.post(frame_of(talk(2)), frame_id="2")).status_code == 204
        await eventually(lambda: door.rows("select since from spools"), lambda rows: rows == [(None,)], seconds=2)
        assert await town.lines() == ["line 0", "line 2"]
        async with town.db.begin() as conn:
            await conn.execute(text("alter table elsewhere rename to quarantine"))
        await eventually(lambda: files(town), lambda found: found == [])
        assert await town.lines() == ["line 0", "line 1", "line 2"]


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
        assert all(seconds > 0.9 for status, seconds in found if status == 503)
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
    async with town.door(DRAINWATCH_SPOOL_MAX="1 KiB", hold_s=30.0) as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        town.gate.shut()
        posting = asyncio.create_task(door.post(frame_of(message("app", "web.1", noise(1))), frame_id="1"))
        await asyncio.wait([posting], timeout=0.5)
        assert not posting.done()
        await town.gate.open()
        assert (await posting).status_code == 204
        assert len(await town.lines()) == 2


async def test_a_frame_whose_commit_fails_at_once_is_held_for_as_long_as_any_other(town: Town) -> None:
    async with town.door(DRAINWATCH_SPOOL_MAX="1 KiB", hold_s=2.0) as door:
        await door.post(frame_of(talk(0)), frame_id="0")
        async with town.db.begin() as conn:
            await conn.execute(text("lock table frames in share mode"))
            posting = asyncio.create_task(timed(door.post(frame_of(message("app", "web.1", noise(1))), frame_id="1")))
            query = "select count(*) from pg_locks where not granted"
            await eventually(lambda: door.rows(query), lambda rows: rows[0][0] > 0)
            town.gate.shut()
            status, seconds = await posting
    assert status == 503
    assert seconds > 1.9


async def said(capfd: Any) -> str:
    """What was logged since the last time."""
    return str(capfd.readouterr().err)


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
