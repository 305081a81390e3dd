"""What goes on over the end of a frame is told whole, whichever frames, commits, batches and workers it falls into."""

from itertools import pairwise
from typing import Any

import pytest

from keeping import keep
from service.store.database import Database
from tests.service.incidents.test_watch import APP, folded, rows
from vocabulary import message, router_line

TRACE = [
    message("app", "web.1", line, "12:00:00")
    for line in (
        "Traceback (most recent call last):",
        '  File "/app/shop.py", line 7, in pay',
        "    charge(order)",
        '  File "/app/bank.py", line 3, in charge',
        "    raise KeyError(order)",
        "KeyError: 17",
    )
]
BESIDE = [
    message("heroku", "web.1", "Process running mem=870M(170.1%)", "12:00:00"),
    message("heroku", "web.1", "Error R14 (Memory quota exceeded)", "12:00:00"),
    message("app", "api", "Starting process with command `/bin/sh -c 'if true", "12:00:00"),
    message("app", "api", "then run", "12:00:00"),
    message("app", "api", "fi'` by user user@example.com", "12:00:00"),
]
TOLD = [(0, 6, "KeyError", ["/app/bank.py:3 in charge", "/app/shop.py:7 in pay"])]


async def traces(db: Database) -> list[Any]:
    """Each trace's place, its number of lines, its exception and its frames."""
    return await rows(
        db,
        "select place, fields -> 'lines', fields ->> 'exception', fields -> 'frames' from events "
        "where kind = 'traceback' order by ts, place",
    )


@pytest.mark.parametrize("cuts", [(), (1,), (3,), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("each_folded", [False, True])
async def test_a_trace_over_several_commits_is_one_event(
    db: Database, cuts: tuple[int, ...], each_folded: bool
) -> None:
    for begin, end in pairwise([0, *cuts, len(TRACE)]):
        await keep(db, APP, *TRACE[begin:end])
        if each_folded:
            await folded(db)
    await folded(db)
    assert await traces(db) == TOLD


async def test_a_trace_that_goes_on_behind_other_lines_of_the_next_frame_keeps_its_place(db: Database) -> None:
    await keep(db, APP, router_line("12:00:00"), *TRACE[:2])
    await keep(db, APP, router_line("12:00:00"), message("app", "web.2", "hello", "12:00:00"), *TRACE[2:])
    await folded(db)
    assert await traces(db) == [(1, *TOLD[0][1:])]


async def test_nothing_goes_on_after_ten_seconds(db: Database) -> None:
    await keep(db, APP, *TRACE[:3])
    await keep(db, APP, message("app", "web.1", "    raise KeyError(order)", "12:00:11"))
    await folded(db)
    assert [lines for _, lines, *_ in await traces(db)] == [3]
    assert await rows(db, "select unfinished from clocks") == [(None,)]


async def test_an_event_that_turns_out_to_be_part_of_another_is_forgotten(db: Database) -> None:
    first = [message("app", "web.1", line, "12:00:00") for line in ("Traceback (most recent call last):",)]
    await keep(db, APP, *first, *TRACE[1:], message("app", "web.1", "", "12:00:00"))
    chained = ["During handling of the above exception, another exception occurred:", ""]
    await keep(db, APP, *[message("app", "web.1", line, "12:00:00") for line in chained], *TRACE)
    await folded(db)
    assert [(place, exception) for place, _, exception, _ in await traces(db)] == [(0, "KeyError")]


@pytest.mark.parametrize("each_folded", [False, True])
async def test_the_memory_of_an_r14_and_the_rest_of_a_command_may_come_in_other_frames(
    db: Database, each_folded: bool
) -> None:
    for line in BESIDE:
        await keep(db, APP, line)
        if each_folded:
            await folded(db)
    await folded(db)
    assert await rows(db, "select fields -> 'mem_mb' from events where code = 'R14'") == [(870,)]
    assert await rows(db, "select fields ->> 'command', fields ->> 'actor' from events where kind = 'release'") == [
        ("/bin/sh -c 'if true\nthen run\nfi'", "user@example.com")
    ]


async def test_a_frame_that_ends_within_nothing_is_not_read_again(db: Database) -> None:
    await keep(db, APP, router_line("12:00:00"), message("app", "web.1", "hello", "12:00:00"))
    assert await rows(db, "select unfinished from pending") == [(False,)]
