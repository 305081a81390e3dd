"""The spool's folder: frames that wait together, the bound, the disk's errors, files of processes that are gone."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.errors import SettingError
from service.ingest.segment import Record
from service.ingest.spool import Spool, SpoolFull
from spooled import record

ALL = 1 << 30


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool.open(tmp_path / "spool", most_bytes=1 << 20)
    yield opened
    await opened.close()


async def append_all(spool: Spool, *numbers: int) -> list[BaseException | None]:
    return await asyncio.gather(*(spool.append(record(one)) for one in numbers), return_exceptions=True)


async def drained(spool: Spool) -> list[Record]:
    found: list[Record] = []
    while batch := await spool.next(most=ALL):
        found += batch.records
        spool.done(batch)
    return found


def names(spool: Spool, pattern: str = "*.spool") -> list[str]:
    return sorted(path.name for path in spool.folder.glob(pattern))


async def test_frames_that_wait_together_are_synced_together(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    await append_all(spool, 0)
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), sync(file)))
    await append_all(spool, *range(1, 100))
    assert 1 <= len(synced) <= 2
    assert spool.frames == 100


async def test_what_came_first_is_drained_first_and_then_its_file_is_gone(spool: Spool) -> None:
    for number in range(5):
        await spool.append(record(number))
    assert spool.since == record(0).received_at
    assert len(names(spool)) == 1
    assert await drained(spool) == [record(number) for number in range(5)]
    assert (names(spool), spool.since, spool.frames, spool.bytes) == ([], None, 0, 0)
    await spool.append(record(6))
    assert await drained(spool) == [record(6)]


async def test_what_is_added_while_it_is_drained_is_drained_too(spool: Spool) -> None:
    await append_all(spool, 1, 2)
    batch = await spool.next(most=1)
    assert batch is not None
    await append_all(spool, 3)
    spool.done(batch)
    assert spool.since is not None
    assert spool.since <= record(2).received_at
    assert await drained(spool) == [record(2), record(3)]


async def test_many_small_files_keep_the_order(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, most_bytes=16_000)  # so a file ends after a record or two
    for number in range(20):
        await spool.append(record(number))
    assert len(names(spool)) > 3
    assert await drained(spool) == [record(number) for number in range(20)]
    await spool.close()


async def test_above_its_bound_it_takes_nothing_until_some_of_it_is_drained(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, most_bytes=2000)
    found = await append_all(spool, *range(20))
    taken = [one is None for one in found]
    assert 3 < sum(taken) < 10
    assert taken == sorted(taken, reverse=True)
    with pytest.raises(SpoolFull, match="DRAINWATCH_SPOOL_MAX, 2000 bytes, is reached"):
        await spool.append(record(20))
    assert spool.bytes <= 2000
    assert len(await drained(spool)) == sum(taken)
    await spool.append(record(20))
    await spool.close()


async def test_the_bound_counts_what_other_processes_have_there(tmp_path: Path) -> None:
    first, second = (Spool.open(tmp_path, most_bytes=2000) for _ in range(2))
    await append_all(first, *range(20))
    await second.adopt()
    with pytest.raises(SpoolFull):
        await second.append(record(21))
    await drained(first)
    await second.adopt()
    await second.append(record(21))
    await first.close()
    await second.close()


@contextmanager
def disk_of(size: int) -> Any:
    """A disk on which no file can grow beyond `size`, as far as this process is concerned."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_write_that_fails_is_told_and_what_was_written_before_is_kept(spool: Spool) -> None:
    await append_all(spool, 1, 2)
    with disk_of(spool.bytes + 100):
        with pytest.raises(SpoolFull, match="the spool takes nothing more: File too large"):
            await spool.append(record(3, body=os.urandom(4000)))
        with pytest.raises(SpoolFull):
            await spool.append(record(3, body=os.urandom(4000)))
    [name] = names(spool)
    assert (spool.folder / name).stat().st_size == spool.bytes
    await append_all(spool, 4)
    assert len(names(spool)) == 2  # a file that something went wrong with is not trusted with more
    assert await drained(spool) == [record(1), record(2), record(4)]


async def test_files_of_a_process_that_lives_are_left_to_it_and_those_of_one_that_is_gone_are_taken(
    tmp_path: Path,
) -> None:
    first, second = (Spool.open(tmp_path, most_bytes=1 << 20) for _ in range(2))
    await append_all(first, 1, 2)
    await append_all(second, 3)
    await second.adopt()
    assert second.frames == 1
    await first.close()
    await second.adopt()
    assert (second.frames, second.since) == (3, record(1).received_at)
    assert await drained(second) == [record(1), record(2), record(3)]
    assert names(second) == []
    await second.close()


async def test_what_cannot_be_read_is_skipped_told_and_left_to_people(tmp_path: Path, capfd: Any) -> None:
    spool = Spool.open(tmp_path, most_bytes=1 << 20)
    await spool.append(record(1))
    middle = spool.bytes
    await append_all(spool, 2, 3)
    await spool.close()
    path = tmp_path / names(spool)[0]
    data = bytearray(path.read_bytes())
    data[middle + 30] ^= 1
    path.write_bytes(data)
    spool = Spool.open(tmp_path, most_bytes=1 << 20)
    await spool.adopt()
    assert await drained(spool) == [record(1), record(3)]
    assert f"at=spool.damaged level=error file={path.name} at_byte={middle}" in capfd.readouterr().err
    assert (names(spool), names(spool, "*.damaged")) == ([], [path.with_suffix(".damaged").name])
    await spool.close()


def test_a_folder_that_cannot_be_used_ends_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"DRAINWATCH_SPOOL is '.*file', where no file can be made"):
        Spool.open(tmp_path / "file", most_bytes=1 << 20)


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "new" / "spool", most_bytes=1 << 20)
    assert spool.folder.stat().st_mode & 0o777 == 0o700
