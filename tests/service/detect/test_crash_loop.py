"""A dyno that does not stay up: what counts as a crash, what ends a series of them, what is not one at all."""

import pytest

from folding import counts, found, starting
from vocabulary import boot_timeout, crash, exited, message, router_line, seconds_after, state, up


def cool_off(dyno: str, *crashes: str) -> list[bytes]:
    """The dyno crashes at these times; Heroku starts it again a second before each but the first."""
    lines = [crash(dyno, crashes[0])]
    for time in crashes[1:]:
        lines += [starting(dyno, seconds_after(time, -1)), crash(dyno, time, before="starting")]
    return lines


def h10s(*times: str) -> list[bytes]:
    return [router_line(time, code="H10") for time in times]


LOOP = cool_off("web.1", "12:00", "12:01")


@pytest.mark.parametrize(
    "crashes",
    [("12:00", "12:00:10"), ("12:00", "12:20"), ("12:00", "17:20"), ("04:00", "09:20", "14:40")],
    ids=["at once", "after 20 minutes", "after 320 minutes", "thrice"],
)
def test_two_crashes_with_no_time_up_between_them_open_a_crash_loop_however_far_apart(crashes: tuple[str, ...]) -> None:
    assert found("crash_loop", *cool_off("web.1", *crashes)) == [f"web critical {crashes[1]}"]


def test_one_crash_opens_none() -> None:
    assert found("crash_loop", crash("web.1", "12:00"), starting("web.1", "12:00"), until="23:00") == []


@pytest.mark.parametrize(("again", "expected"), [("12:05:59", ["web critical 12:05:59"]), ("12:06", []), ("12:07", [])])
def test_five_minutes_up_between_two_crashes_part_them(again: str, expected: list[str]) -> None:
    story = [crash("web.1", "12:00"), starting("web.1", "12:00:01"), up("web.1", "12:01"), crash("web.1", again)]
    assert found("crash_loop", *story) == expected


def test_a_restart_within_the_five_minutes_begins_them_anew() -> None:
    restarted = [starting("web.1", "12:05", before="up"), up("web.1", "12:05:10")]
    story = [crash("web.1", "12:00"), up("web.1", "12:01"), *restarted, crash("web.1", "12:08")]
    assert found("crash_loop", *story) == ["web critical 12:08"]


def test_each_dyno_has_its_own_crashes() -> None:
    assert found("crash_loop", *(crash(f"web.{n}", f"12:0{n}") for n in range(1, 5))) == []


def test_the_loop_of_a_worker_is_the_workers() -> None:
    assert found("crash_loop", *cool_off("worker.1", "12:00", "12:01"), crash("web.1", "12:02")) == [
        "worker critical 12:01"
    ]


# -- what is one crash, told twice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [("12:01:00", "12:01:00.3"), ("12:01:00.3", "12:01:00"), ("12:00:20", "12:01:00")],
    ids=["R10 first", "R10 last", "a slow kill between"],
)
def test_r10_and_the_crash_that_follows_it_are_one(order: tuple[str, str]) -> None:
    story = [
        boot_timeout("web.1", order[0]),
        crash("web.1", order[1], before="starting"),
        exited("web.1", 137, "12:01"),
    ]
    assert found("crash_loop", *story, starting("web.1", "12:01:01"), until="13:00") == []


def test_r10_after_the_next_start_is_another_crash() -> None:
    first = [boot_timeout("web.1", "12:01"), crash("web.1", "12:01:00.2", before="starting")]
    story = [*first, starting("web.1", "12:01:00.3"), boot_timeout("web.1", "12:02:01")]
    assert found("crash_loop", *story) == ["web critical 12:02:01"]


def test_r10_that_comes_just_after_the_next_start_still_tells_of_the_crash_before_it() -> None:
    story = [crash("web.1", "12:01"), starting("web.1", "12:01:00.1"), boot_timeout("web.1", "12:01:00.2")]
    assert found("crash_loop", *story) == []


def test_two_quick_crashes_with_a_start_between_them_are_two() -> None:
    story = [crash("web.1", "12:00:01"), starting("web.1", "12:00:01.005"), crash("web.1", "12:00:04")]
    assert found("crash_loop", *story) == ["web critical 12:00:04"]


def test_a_process_that_only_exits_has_not_crashed() -> None:
    assert found("crash_loop", exited("web.1", 1, "12:00"), exited("web.1", 1, "12:01")) == []


# -- what is none ----------------------------------------------------------------------------------------------------


def restart(why: str, minute: str, status: int = 143) -> list[bytes]:
    return [
        message("heroku", "web.1", why, minute),
        starting("web.1", f"{minute}:01", before="up"),
        message("heroku", "web.1", "Stopping all processes with SIGTERM", f"{minute}:02"),
        exited("web.1", status, f"{minute}:03"),
        up("web.1", f"{minute}:09"),
    ]


@pytest.mark.parametrize("status", [143, 137])
@pytest.mark.parametrize("why", ["Restarting", "Cycling"])
def test_restarts_and_cycling_are_no_crashes(why: str, status: int) -> None:
    assert found("crash_loop", *restart(why, "12:00", status), *restart(why, "12:02", status)) == []


@pytest.mark.parametrize("dyno", ["run.1234", "scheduler.5678", "release.9811"])
def test_dynos_that_run_once_have_no_loop(dyno: str) -> None:
    assert found("crash_loop", *cool_off(dyno, "12:00", "12:01", "12:02")) == []


def test_what_an_app_prints_is_no_crash() -> None:
    said = [message("app", "web.1", "State changed from up to crashed", f"12:0{n}") for n in range(4)]
    assert found("crash_loop", *said) == []


def test_scaling_down_takes_a_dynos_crashes_with_it() -> None:
    scaled = [state("web.1", "crashed", "down", "12:01"), starting("web.1", "12:30", before="down")]
    assert found("crash_loop", crash("web.1", "12:00"), *scaled, crash("web.1", "12:31")) == []


def test_scaling_to_zero_and_up_again_at_once_mends_nothing() -> None:
    scaled = [state("web.1", "crashed", "down", "12:01"), starting("web.1", "12:03", before="down")]
    assert found("crash_loop", crash("web.1", "12:00"), *scaled, crash("web.1", "12:04")) == ["web critical 12:04"]


# -- H10 alone -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("12:00", "12:01", "12:02", "12:03", "12:04:59"), ["web critical 12:04:59"]),
        (("12:00", "12:01", "12:02", "12:03", "12:05"), []),
        (("12:00", "12:01", "12:02", "12:03"), []),
    ],
    ids=["five in five minutes", "five in more", "four"],
)
def test_five_h10_in_five_minutes_say_that_every_web_dyno_is_crashed(
    times: tuple[str, ...], expected: list[str]
) -> None:
    assert found("crash_loop", *h10s(*times)) == expected


def test_h10_of_a_known_loop_open_no_second_one_and_are_counted() -> None:
    story = [*LOOP, *h10s("12:01:10", "12:01:20", "12:01:30", "12:01:40", "12:01:50")]
    assert found("crash_loop", *story) == ["web critical 12:01"]
    assert counts("crash_loop", *story) == [7]


def test_what_h10_alone_have_opened_ends_when_a_dyno_stays_up() -> None:
    down = h10s("12:00", "12:01", "12:02", "12:03", "12:04")
    assert found("crash_loop", *down, until="20:00") == ["web critical 12:04"]
    assert found("crash_loop", *down, up("web.1", "12:10"), until="12:15:10") == ["web critical 12:04 to 12:15"]


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_loop_ends_when_its_dyno_has_been_up_for_five_minutes() -> None:
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), until="12:15:09") == ["web critical 12:01"]
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), until="12:15:10") == ["web critical 12:01 to 12:15"]


def test_time_alone_ends_no_loop() -> None:
    assert found("crash_loop", *LOOP, starting("web.1", "12:02"), until="23:59") == ["web critical 12:01"]


def test_a_loop_ends_when_every_dyno_of_its_type_is_up_that_was_heard_of() -> None:
    other = [starting("web.2", "12:09", before="up"), up("web.2", "12:12")]
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), *other, until="13:00") == ["web critical 12:01 to 12:17"]


def test_a_restart_of_any_of_its_dynos_puts_the_end_off() -> None:
    restarted = [starting("web.2", "12:14", before="up"), up("web.2", "12:14:30")]
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), *restarted, until="13:00") == [
        "web critical 12:01 to 12:19:30"
    ]


def test_a_dyno_that_is_starting_when_the_time_is_over_is_waited_for() -> None:
    starts = [starting("web.2", "12:14:50", before="up"), up("web.2", "12:16")]
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), *starts, until="13:00") == ["web critical 12:01 to 12:21"]


def test_h10_that_go_on_put_the_end_off() -> None:
    assert found("crash_loop", *LOOP, up("web.1", "12:10"), *h10s("12:13"), until="13:00") == [
        "web critical 12:01 to 12:18"
    ]


def test_a_loop_ends_five_minutes_after_its_last_dyno_was_scaled_away() -> None:
    down = state("web.1", "crashed", "down", "12:10")
    assert found("crash_loop", *LOOP, down, until="12:15:10") == ["web critical 12:01 to 12:15"]


def test_scaled_up_again_within_five_minutes_the_loop_goes_on() -> None:
    story = [*LOOP, state("web.1", "crashed", "down", "12:10"), starting("web.1", "12:12", before="down")]
    assert found("crash_loop", *story, until="14:00") == ["web critical 12:01"]


def test_after_its_end_one_crash_opens_none() -> None:
    story = [*LOOP, up("web.1", "12:10"), crash("web.1", "12:16"), starting("web.1", "12:16:01"), up("web.1", "12:17")]
    assert found("crash_loop", *story, until="13:00") == ["web critical 12:01 to 12:15"]


# -- boot_timeout, the same pattern with levels ----------------------------------------------------------------------


def timeouts(*times: str) -> list[bytes]:
    return [
        line for time in times for line in (starting("web.1", seconds_after(time, -60)), boot_timeout("web.1", time))
    ]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("12:00",), ["web error 12:00"]),
        (("12:00", "12:10"), ["web error 12:00"]),
        (("12:00", "12:10", "12:29"), ["web critical 12:00"]),
        (("12:00", "12:10", "12:30"), ["web error 12:00"]),
    ],
    ids=["one", "two", "three in 30 minutes", "three in more"],
)
def test_a_boot_timeout_is_an_error_and_the_third_in_half_an_hour_is_critical(
    times: tuple[str, ...], expected: list[str]
) -> None:
    assert found("boot_timeout", *timeouts(*times)) == expected


def test_a_boot_timeout_ends_when_the_dyno_stays_up() -> None:
    story = [*timeouts("12:00"), crash("web.1", "12:00:00.2", before="starting"), starting("web.1", "12:00:01")]
    assert found("boot_timeout", *story, up("web.1", "12:00:40"), until="13:00") == ["web error 12:00 to 12:05:40"]


def test_a_crash_after_it_puts_the_end_of_a_boot_timeout_off() -> None:
    story = [*timeouts("12:00"), up("web.1", "12:02"), crash("web.1", "12:04"), up("web.1", "12:05")]
    assert found("boot_timeout", *story, until="13:00") == ["web error 12:00 to 12:10"]
