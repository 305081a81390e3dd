"""POST /drain with Content-Encoding."""

import gzip
from typing import Any

import pytest

from door import Door
from vocabulary import crash, frame_of, message, up

BODY = frame_of(crash("web.1"), message("app", "web.1", "hello"), up("web.1"))
ZIPPED = gzip.compress(BODY)


async def lines_of(door: Door) -> int:
    return int((await door.rows("select coalesce(sum(lines), 0) from chunks"))[0][0])


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip", "identity, gzip"])
async def test_a_gzip_body_is_read_as_what_it_holds(door: Door, coding: str) -> None:
    answer = await door.post(ZIPPED, frame_id="F", Content_Encoding=coding)
    assert answer.status_code == 204
    assert await lines_of(door) == 3
    assert await door.rows("select count(*) from events") == [(2,)]


async def test_members_one_after_the_other_are_one_body(door: Door) -> None:
    halves = gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])
    assert (await door.post(halves, frame_id="F", Content_Encoding="gzip")).status_code == 204
    assert await lines_of(door) == 3


async def test_identity_is_no_coding(door: Door) -> None:
    assert (await door.post(BODY, frame_id="F", Content_Encoding="identity")).status_code == 204
    assert await lines_of(door) == 3


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_another_coding_gets_415_that_names_it(door: Door, coding: str) -> None:
    answer = await door.post(BODY, Content_Encoding=coding)
    assert answer.status_code == 415
    assert f"Content-Encoding is '{coding}'; expected gzip" in answer.text
    assert await lines_of(door) == 0


async def test_broken_gzip_goes_to_quarantine_whole_and_is_answered_204(door: Door) -> None:
    assert (await door.post(ZIPPED[:-5], frame_id="F", Content_Encoding="gzip")).status_code == 204
    assert (await door.post(ZIPPED[:-5], frame_id="F", Content_Encoding="gzip")).status_code == 204
    assert [tuple(row) for row in await door.rows("select body, reason from quarantine")] == [
        (ZIPPED[:-5], "the gzip ends too soon")
    ]
    assert await lines_of(door) == 0


async def test_plain_text_that_says_it_is_gzip_is_kept_in_quarantine_masked(door: Door) -> None:
    body = frame_of(message("app", "web.1", "login password=hunter2hunter2 ok"))
    assert (await door.post(body, frame_id="F", Content_Encoding="gzip")).status_code == 204
    [(kept, reason)] = await door.rows("select body, reason from quarantine")
    assert kept == body.replace(b"hunter2hunter2", b"[redacted]")
    assert reason.startswith("the gzip is damaged")


async def test_the_bound_of_a_body_holds_for_what_is_in_it(open_door: Any) -> None:
    door = await open_door(DRAINWATCH_MAX_BODY="1 MiB")
    bomb = gzip.compress(bytes(50 << 20), 9)
    assert len(bomb) < 100_000
    answer = await door.post(bomb, frame_id="F", Content_Encoding="gzip")
    assert answer.status_code == 413
    assert "DRAINWATCH_MAX_BODY" in answer.text
    large = frame_of(*(message("app", "web.1", "x" * 900) for _ in range(1000)))
    assert (await door.post(gzip.compress(large), frame_id="G", Content_Encoding="gzip")).status_code == 204
    assert await lines_of(door) == 1000


async def test_without_a_frame_id_the_bytes_as_sent_name_it(door: Door) -> None:
    other = gzip.compress(BODY, 1, mtime=5)
    for _ in range(2):
        await door.post(ZIPPED, Content_Encoding="gzip")
        await door.post(other, Content_Encoding="gzip")
    assert await lines_of(door) == 6


async def test_what_zipped_bodies_hold_is_admitted_and_let_go(open_door: Any) -> None:
    door = await open_door(DRAINWATCH_ADMISSION="1 KiB")  # less than one such body, so they come in one by one
    for number in range(5):
        answer = await door.post(ZIPPED, frame_id=str(number), Content_Encoding="gzip")
        assert answer.status_code == 204
    assert await lines_of(door) == 15
