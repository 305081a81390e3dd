from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.cli.logplex import Piece
from service.cli.replay import _due_s, _frames
from vocabulary import frame_of, message, router_line

from .conftest import Run

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)


@pytest.fixture
def body(tmp_path: Path) -> str:
    """A file with an error, and 2,500 lines after it: more than one frame."""
    file = tmp_path / "body"
    lines = [message("app", "web.1", f"line {number}", "12:00:01") for number in range(2500)]
    file.write_bytes(frame_of(router_line("12:00", code="H12"), *lines))
    return str(file)


async def test_a_replayed_file_is_kept_as_if_logplex_had_sent_it(there: Run, body: str) -> None:
    secret = (await there("drain", "add", "shop", "--environment", "production", "--json")).json()["secret"]

    ran = await there("replay", body, "--app", "shop", "--secret", secret)

    assert (ran.status, ran.err.strip().partition(" posted")[0]) == (0, "2,501 lines in 3 frames")
    (event,) = (await there("errors", "--json")).json()["items"]
    assert (event["code"], event["ts"]) == ("H12", "2026-05-11T12:00:00.000000Z")


async def test_without_a_secret_a_drain_is_there_for_as_long_as_it_takes(there: Run, body: str) -> None:
    await there("drain", "add", "shop", "--environment", "production")
    before = (await there("drain", "list", "--json")).json()

    ran = await there("replay", body, "--app", "shop", "--rebase", "--json")

    assert ran.json()["messages"] == 2501
    assert (await there("drain", "list", "--json")).json() == before
    (event,) = (await there("errors", "--since", "1m", "--json")).json()["items"]
    assert event["code"] == "H12"


async def test_a_new_drain_may_post_at_once_though_the_apps_others_did_a_moment_ago(there: Run, body: str) -> None:
    secret = (await there("drain", "add", "shop", "--environment", "production", "--json")).json()["secret"]
    await there("replay", body, "--app", "shop", "--secret", secret)

    assert (await there("replay", body, "--app", "shop")).status == 0


@pytest.mark.parametrize("pace", [(), ("--speed", "1000")], ids=["at once", "at a pace"])
async def test_the_same_replay_again_stores_nothing_twice(there: Run, body: str, pace: tuple[str, ...]) -> None:
    secret = (await there("drain", "add", "shop", "--environment", "production", "--json")).json()["secret"]
    for _ in range(2):
        ran = await there("replay", body, "--app", "shop", "--secret", secret, *pace)
        assert ran.status == 0

    assert len((await there("errors", "--json")).json()["items"]) == 1


async def test_what_is_refused_is_lost_and_status_1_with_the_reason(there: Run, body: str) -> None:
    ran = await there("replay", body, "--app", "shop", "--secret", "wrong")

    assert ran.status == 1
    assert "2,501 lines were refused, lastly with: 401" in ran.err
    assert (await there("replay", body, "--app", "shop")).err.startswith("drainwatch: shop has no drain")


def test_with_a_speed_lines_keep_their_pace_and_late_ones_come_at_once() -> None:
    seconds = (0, 10, 5, None, 20)
    pieces = [Piece(b"", None if s is None else NOON + timedelta(seconds=s)) for s in seconds]

    assert _due_s(pieces, 10.0) == [0.0, 1.0, 1.0, 1.0, 2.0]
    assert _due_s(pieces, None) == [0.0] * 5


def test_frames_are_cut_where_they_are_full_and_at_a_tenth_of_a_second() -> None:
    pieces = [Piece(b"", None)] * 2000

    assert list(_frames(pieces, [0.0] * 2000)) == [(0, 1024), (1024, 2000)]
    assert list(_frames(pieces[:5], [0.0, 0.05, 0.15, 0.31, 0.31])) == [(0, 2), (2, 3), (3, 5)]
