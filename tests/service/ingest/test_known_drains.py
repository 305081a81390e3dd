"""What the spool remembers of the drains."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from door import APP
from gate import gate_before
from processes import eventually
from service.ingest import drains
from service.ingest.known_drains import KnownDrains
from service.store import drains as rows
from service.store.database import Database
from service.store.drains import DrainCredentials

URL = "https://logs.example.com"


@pytest.fixture
async def db(embedded_url: str) -> AsyncIterator[Database]:
    opened = Database.open(embedded_url)
    yield opened
    await opened.close()


async def add(db: Database, app: str = APP) -> int:
    added = await drains.add(db, app=app, environment="production", logplex_token="d.1", public_url=URL)
    return added.drain.id


async def remembered(db: Database, folder: Path, *, stale: str | None = None) -> dict[str, list[DrainCredentials]]:
    """What the file says after the table was read once, or, if `stale` is an app, once more because of that."""
    known = KnownDrains.read(folder)
    running = asyncio.create_task(known.run(db))
    file = folder / "drains.json"
    before = await content(file)
    if stale is not None:
        async with db.read() as conn:
            known.compare(stale, await rows.find(conn, stale))
    await eventually(lambda: content(file), lambda data: data not in (b"", before))
    known.close()
    await running
    again = KnownDrains.read(folder)
    return {app: again.of(app) for app in (APP, "other-app")}


async def content(file: Path) -> bytes:
    return await asyncio.to_thread(lambda: file.read_bytes() if file.exists() else b"")


def modes(folder: Path) -> list[tuple[str, int]]:
    return [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()]


async def test_it_is_what_the_table_says(db: Database, tmp_path: Path) -> None:
    await add(db)
    await drains.rotate(db, await add(db), public_url=URL)
    await drains.remove(db, await add(db))
    await add(db, "other-app")
    found = await remembered(db, tmp_path)
    async with db.read() as conn:
        assert found == {app: await rows.find(conn, app) for app in (APP, "other-app")}
    assert [len(found[app]) for app in (APP, "other-app")] == [2, 1]


async def test_a_drain_that_was_looked_up_and_is_new_brings_the_file_up_to_date(db: Database, tmp_path: Path) -> None:
    await add(db)
    assert len((await remembered(db, tmp_path))[APP]) == 1
    await add(db)
    assert len((await remembered(db, tmp_path, stale=APP))[APP]) == 2


async def test_while_the_database_is_away_it_is_what_another_process_has_written(
    embedded_url: str, db: Database, tmp_path: Path
) -> None:
    async with gate_before(embedded_url) as gate:
        gate.shut()
        cut_off, known = Database.open(gate.url), KnownDrains.read(tmp_path)
        running = asyncio.create_task(known.run(cut_off))
        await add(db)
        await remembered(db, tmp_path)
        await eventually(lambda: number(known), lambda drains: drains == 1)
        known.close()
        await running
        await cut_off.close()


async def number(known: KnownDrains) -> int:
    return len(known.of(APP))


async def test_the_file_is_for_its_owner_alone_and_nothing_else_is_left_beside_it(db: Database, tmp_path: Path) -> None:
    await add(db)
    await remembered(db, tmp_path)
    assert modes(tmp_path) == [("drains.json", 0o600)]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"drains": [{"id": 1}]}', b'{"drains": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "drains.json").write_bytes(data)
    assert not KnownDrains.read(tmp_path)


def test_without_a_file_nobody_is_known(tmp_path: Path) -> None:
    known = KnownDrains.read(tmp_path)
    assert not known
    assert known.of(APP) == []
