"""POST /drain over a real socket, into a real Postgres: each status code, and what is stored after it."""

import asyncio
import gzip
from typing import Any

import pytest
import zstandard

from door import APP, Door, basic
from service.ingest import authentication, drains
from vocabulary import frame_of, message

CRASH = message("heroku", "web.1", "State changed from starting to crashed")
UP = message("heroku", "web.1", "State changed from starting to up")
TALK = message("app", "web.1", "hello")
L10 = (
    b"142 <172>1 2017-08-31T14:47:14+00:00 host heroku logplex - Error L10 (output buffer overflow): "
    b"2 messages dropped since 2017-08-31T14:44:12+00:00."
)


async def lines_of(door: Door) -> int:
    return int((await door.rows("select coalesce(sum(lines), 0) from chunks"))[0][0])


async def test_a_frame_is_answered_204_and_everything_in_it_is_committed(door: Door) -> None:
    answer = await door.post(frame_of(CRASH, TALK, UP), frame_id="A")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await lines_of(door) == 3
    kept = await door.rows("select kind, fields->>'to', dyno, place from events order by place")
    assert [tuple(row) for row in kept] == [("dyno_state", "crashed", "web.1", 0), ("dyno_state", "up", "web.1", 2)]
    assert [row[0] for row in await door.rows("select events from pending")] == [2]


async def test_the_answer_is_never_chunked_and_the_connection_stays_open(door: Door) -> None:
    answer = await door.post(frame_of(TALK))
    assert "transfer-encoding" not in answer.headers
    assert answer.headers.get("connection", "keep-alive") == "keep-alive"
    refused = await door.client.post("/drain", content=b"")
    assert int(refused.headers["content-length"]) == len(refused.content)


@pytest.mark.parametrize(
    ("user", "password"),
    [("nobody", "x"), (APP, "wrong"), (APP, ""), ("", ""), ("bad name\x00", "x")],
    ids=["unknown app", "wrong secret", "no secret", "nothing", "no name at all"],
)
async def test_wrong_credentials_get_the_same_401_whatever_is_wrong_with_them(
    door: Door, user: str, password: str
) -> None:
    answer = await door.post(frame_of(TALK), Authorization=basic(user, password))
    without = await door.client.post("/drain", content=frame_of(TALK))
    assert answer.status_code == without.status_code == 401
    assert answer.content == without.content
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert await lines_of(door) == 0


async def test_after_a_rotation_both_secrets_are_good_for_a_day(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "FRESH_SECONDS", 0.0)
    listed = await drains.listed(door.db)
    fresh = await drains.rotate(door.db, listed[0].id, public_url="https://logs.example.com")
    old = await door.post(frame_of(TALK), frame_id="1")
    new = await door.post(frame_of(TALK), frame_id="2", Authorization=basic(APP, fresh.secret))
    assert (old.status_code, new.status_code) == (204, 204)


async def test_a_pinned_drain_token_refuses_another_with_403(door: Door) -> None:
    pinned = await drains.add(
        door.db,
        app="other-app",
        environment="staging",
        logplex_token="d.fc6b856b-3332-4546-93de-7d0ee272c3bd",
        public_url="https://logs.example.com",
    )
    authorization = basic("other-app", pinned.secret)
    right = await door.post(
        frame_of(TALK), Authorization=authorization, Logplex_Drain_Token="d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
    )
    wrong = await door.post(frame_of(TALK), Authorization=authorization, Logplex_Drain_Token="d.another")
    assert (right.status_code, wrong.status_code) == (204, 403)


async def test_other_content_types_get_415_and_parameters_of_the_right_one_do_not_matter(door: Door) -> None:
    other = await door.post(frame_of(TALK), Content_Type="application/json")
    same = await door.post(frame_of(TALK), Content_Type="Application/Logplex-1; charset=utf-8")
    assert (other.status_code, same.status_code) == (415, 204)


async def test_a_get_is_answered_405(door: Door) -> None:
    assert (await door.client.get("/drain")).status_code == 405


async def test_a_body_over_the_limit_gets_413_that_names_the_setting(open_door: Any) -> None:
    door = await open_door(DRAINWATCH_MAX_BODY="1 KiB")
    declared = await door.post(b"x" * 1025)
    assert declared.status_code == 413
    assert "DRAINWATCH_MAX_BODY" in declared.text

    async def streamed() -> Any:
        yield b"x" * 600
        yield b"x" * 600

    chunked = await door.client.post(
        "/drain",
        content=streamed(),
        headers={"Authorization": basic(APP, door.secret), "Content-Type": "application/logplex-1"},
    )
    assert chunked.status_code == 413


async def test_a_frame_sent_twice_is_stored_once_and_answered_204_twice(door: Door) -> None:
    first = await door.post(frame_of(CRASH, TALK), frame_id="F")
    second = await door.post(frame_of(CRASH, TALK), frame_id="F")
    assert (first.status_code, second.status_code) == (204, 204)
    assert await lines_of(door) == 2


async def test_a_frame_sent_by_many_requests_at_once_is_stored_once(door: Door) -> None:
    answers = await asyncio.gather(*(door.post(frame_of(CRASH, TALK), frame_id="F") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {204}
    assert await lines_of(door) == 2


async def test_a_new_l10_line_in_front_of_a_repeat_is_kept_alone(door: Door) -> None:
    await door.post(frame_of(TALK), frame_id="F")
    await door.post(L10 + frame_of(TALK), frame_id="F")
    await door.post(L10 + frame_of(TALK), frame_id="F")
    assert await lines_of(door) == 2
    assert [row[0] for row in await door.rows("select code from events")] == ["L10"]


async def test_without_a_frame_id_the_request_id_serves_and_else_the_body(door: Door) -> None:
    for _ in range(2):
        await door.post(frame_of(TALK), X_Request_Id="r-1")
        await door.post(frame_of(UP))
    await door.post(frame_of(TALK), X_Request_Id="r-2")
    assert await lines_of(door) == 3


async def test_the_same_frame_id_of_two_drains_is_two_frames(door: Door) -> None:
    second = await drains.add(
        door.db, app=APP, environment="production", logplex_token=None, public_url="https://logs.example.com"
    )
    await door.post(frame_of(TALK), frame_id="F")
    await door.post(frame_of(TALK), frame_id="F", Authorization=basic(APP, second.secret))
    assert await lines_of(door) == 2


async def test_what_cannot_be_read_goes_to_quarantine_and_the_rest_is_kept(door: Door) -> None:
    answer = await door.post(CRASH + b"garbage in between " + UP, frame_id="F")
    assert answer.status_code == 204
    assert await lines_of(door) == 2
    [(body, reason)] = await door.rows("select body, reason from quarantine")
    assert body == b"garbage in between "
    assert reason


async def test_a_nul_byte_costs_nothing(door: Door) -> None:
    text = "console.flag.promotion.failed promotion_id=4\x003 flag_key=x reason=\x00"
    answer = await door.post(frame_of(message("app", "web.1", text), TALK), frame_id="F")
    assert answer.status_code == 204
    assert await lines_of(door) == 2
    assert await door.rows("select count(*) from quarantine") == [(0,)]


async def test_credentials_never_reach_a_table(door: Door) -> None:
    secret = "hunter2hunter2"
    said = f"login password={secret} ok"
    await door.post(frame_of(message("app", "web.1", said)) + f"junk password={secret} ".encode(), frame_id="F")
    [(body,)] = await door.rows("select body from quarantine")
    assert secret.encode() not in body
    answer = (await door.rows("select body, size from chunks"))[0]
    assert secret.encode() not in zstandard.ZstdDecompressor().decompress(answer[0])


async def test_an_empty_body_is_answered_204(door: Door) -> None:
    assert (await door.post(b"")).status_code == 204
    assert await lines_of(door) == 0


async def test_a_body_of_nothing_but_noise_is_answered_204_and_quarantined(door: Door) -> None:
    answer = await door.post(gzip.compress(b"noise" * 100))
    assert answer.status_code == 204
    assert await door.rows("select count(*) from quarantine") == [(1,)]
