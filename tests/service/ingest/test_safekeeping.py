"""With a spool: what is posted while the database is away is kept on the disk, answered 204, and committed when it is back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from door import APP, basic
from keeping import READING, drain_of
from processes import eventually
from service.errors import StoreAway
from service.ingest import group_commit, safekeeping
from service.ingest.group_commit import GroupCommit, Waiting
from service.ingest.posted import Posted
from service.ingest.safekeeping import Safekeeping
from service.ingest.spool import Spool
from service.ingest.tallies import Tallies
from town import Town, files, talk, town_of
from vocabulary import crash, dropped, frame_of, up


@pytest.fixture
async def town(embedded_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with town_of(embedded_url, tmp_path) as made:
        yield made


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a commit that does not come waits for ever, and is answered 503."""
    monkeypatch.setattr(safekeeping, "PATIENCE_SECONDS", 600.0)
    monkeypatch.setattr(group_commit, "COMMIT_SECONDS", 600.0)


async def test_what_is_posted_while_the_database_is_away_is_answered_at_once_and_kept_in_order(
    town: Town, no_patience: None
) -> None:
    async with town.door() as door:
        assert (await door.post(frame_of(talk(0)), frame_id="0")).status_code == 204
        town.gate.shut()
        for number in range(1, 20):
            assert (await door.post(frame_of(talk(number)), frame_id=str(number))).status_code == 204
        assert await town.lines() == ["line 0"]
        away_until = datetime.now(UTC)
        await town.gate.open()
        await eventually(town.lines, lambda kept: len(kept) == 20, seconds=2)
        assert await town.lines() == [f"line {number}" for number in range(20)]
        [row] = await door.rows("select max(received_at) from chunks")
        assert row[0] <= away_until
        await eventually(lambda: files(town), lambda found: found == [])


async def test_a_database_that_does_not_answer_costs_one_frame_the_patience_and_the_next_none(
    town: Town, no_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town.door(hold_s=6.0) as door:
        for _ in range(3):  # until both committers are connected
            await asyncio.gather(*(door.post(frame_of(talk(number)), frame_id=str(number)) for number in range(20)))
        town.gate.deafen()
        with monkeypatch.context() as patched:
            patched.setattr(safekeeping, "PATIENCE_SECONDS", 0.5)
            assert (await door.post(frame_of(talk(20)), frame_id="20")).status_code == 204
        assert (await door.post(frame_of(talk(21)), frame_id="21")).status_code == 204
        town.gate.undeafen()
        await eventually(town.lines, lambda kept: len(kept) == 22, seconds=2)
        assert set(await town.lines()) == {f"line {number}" for number in range(22)}


async def test_where_a_commit_fails_the_next_frames_go_to_the_spool_at_once(town: Town, tmp_path: Path) -> None:
    committing, tallies = GroupCommit(town.db, holds=False), Tallies()
    keeping = Safekeeping(town.db, committing, Spool(tmp_path / "other", most_bytes=1 << 20), READING, tallies)
    run = asyncio.create_task(keeping.run())
    await keeping.there()
    drain = await drain_of(town.db, APP)
    one, other = (
        Waiting(Posted(drain, frame_of(talk(n)), b"%d" % n, datetime.now(UTC)), asyncio.Future()) for n in (1, 2)
    )
    assert keeping.put(one)
    committing.give_up(ConnectionResetError())
    await asyncio.sleep(0)  # who waits for it is told
    with pytest.raises(StoreAway):
        await one.done
    assert not keeping.put(other)
    keeping.close()
    await run


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


async def test_who_starts_while_the_database_is_away_knows_who_may_post_by_what_the_spool_remembers(town: Town) -> None:
    async with town.door():
        await eventually(lambda: remembered(town), lambda there: there)
        assert town.secret not in (town.folder / "drains.json").read_text()
        assert (town.folder / "drains.json").stat().st_mode & 0o777 == 0o600
    town.gate.shut()
    async with town.door(hold_s=1.5) as door:
        right = door.post(frame_of(talk(1)), frame_id="1")
        wrong = door.post(frame_of(talk(2)), frame_id="2", Authorization=basic(APP, "perhaps-a-new-one"))
        other = door.post(frame_of(talk(3)), frame_id="3", Authorization=basic("perhaps-new", "x"))
        found = await asyncio.gather(right, wrong, other)
        assert [answer.status_code for answer in found] == [204, 503, 503]
        await town.gate.open()
        await eventually(town.lines, lambda kept: kept == ["line 1"], seconds=2)


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


async def remembered(town: Town) -> bool:
    return (town.folder / "drains.json").exists()
