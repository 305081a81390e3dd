"""What ends an incident besides quiet, and what excuses it: recoveries that need something before them, somebody's will."""

from typing import Any

import pytest

from folding import batch_of, events_of, found, rule_named, shop
from service.detect.backtest import Batch, backtest
from vocabulary import api, exited, message, router_line, state, up

VERIFY = "/api/auth/register/verify-with-token"


def h14(*times: str) -> list[bytes]:
    return [router_line(time, code="H14") for time in times]


BURST = h14("12:00:01", "12:00:05", "12:00:20", "12:00:31", "12:00:59")

# -- on purpose ------------------------------------------------------------------------------------------------------


def scaled(to: str, ts: str, *, by: str = "user@example.com") -> bytes:
    return api(f"Scaled to {to}", ts, by=by)


def test_five_h14_in_a_minute_open_no_web_dynos_until_a_web_dyno_is_up() -> None:
    assert found("no_web_dynos", *BURST[:4], router_line("12:01:02", code="H14")) == []
    assert found("no_web_dynos", *BURST, up("worker.1", "12:04"), up("web.1", "12:05")) == [
        "raxx-api-prod critical 12:00:59 to 12:05"
    ]


def test_whoever_is_named_did_it_on_purpose() -> None:
    down = scaled("web@0:Standard-1X worker@1:Standard-1X", "11:59")
    assert found("no_web_dynos", down, *BURST) == ["raxx-api-prod info 11:59"]
    assert found("no_web_dynos", scaled("web@0:Standard-1X", "11:59", by="")) == ["raxx-api-prod critical 11:59"]
    assert found("no_web_dynos", scaled("web@2:Standard-1X worker@0:Standard-1X", "11:59")) == []


def test_what_is_done_on_purpose_makes_what_was_there_before_no_better() -> None:
    assert found("no_web_dynos", *BURST, scaled("web@0:Standard-1X", "12:02")) == ["raxx-api-prod critical 12:00:59"]


def test_the_excuse_ends_when_it_is_scaled_up() -> None:
    down, up_again = scaled("web@0:Standard-1X", "11:30"), scaled("web@1:Standard-1X", "11:50")
    assert found("no_web_dynos", down, up_again, *BURST) == ["raxx-api-prod critical 11:30"]


def test_a_line_that_excuses_it_and_comes_after_what_it_excuses_makes_it_less_bad() -> None:
    down = scaled("web@0:Standard-1X", "11:59:58")
    assert found("no_web_dynos", batches=[BURST, [down]]) == found("no_web_dynos", batches=[[down], BURST])


# -- recoveries ------------------------------------------------------------------------------------------------------

FAILED = api("Build failed", "12:00", by="")
RELEASE_FAILED = exited("release.4711", 1, "12:00")


@pytest.mark.parametrize("failed", [FAILED, RELEASE_FAILED], ids=["build", "release command"])
def test_deploy_failed_ends_with_the_next_deploy_that_succeeds(failed: bytes) -> None:
    assert found("deploy_failed", failed) == ["raxx-api-prod error 12:00"]
    deployed = [api("Deploy 193d1419", "12:10"), api("Release v9 created", "12:10")]
    ended = ["raxx-api-prod error 12:00 to 12:10"]
    assert found("deploy_failed", failed, *deployed, until="12:10:10") == ended
    assert found("deploy_failed", failed, *deployed[::-1], until="12:10:10") == ended


def test_that_a_deploy_has_succeeded_is_told_ten_seconds_later_since_another_may_have_failed_meanwhile() -> None:
    deployed = [api("Deploy 193d1419", "12:10"), api("Release v9 created", "12:10")]
    assert found("deploy_failed", FAILED, *deployed, until="12:10:09") == ["raxx-api-prod error 12:00"]


def test_a_config_var_or_a_deploy_whose_release_command_fails_does_not_end_it() -> None:
    config_var = [api("Set A config vars", "12:05"), api("Release v9 created", "12:05")]
    assert found("deploy_failed", FAILED, *config_var, until="12:30") == ["raxx-api-prod error 12:00"]
    again = [api("Deploy 193d1419", "12:10"), exited("release.4712", 1, "12:11"), *config_var]
    assert found("deploy_failed", FAILED, *again, until="12:30") == ["raxx-api-prod error 12:00"]


def test_only_release_commands_fail_a_deploy() -> None:
    others = [exited("run.1", 1, "12:00"), exited("scheduler.2", 1, "12:00"), exited("web.1", 1, "12:00")]
    assert found("deploy_failed", *others, exited("release.3", 0, "12:00")) == []


def verify(ts: str, *, status: int = 400, service: str = "1ms", path: str = VERIFY) -> bytes:
    return router_line(ts, method="POST", path=path, status=status, service=service)


def popped(ts: str) -> bytes:
    return message("app", "web.1", "webauthn.challenge_popped store=redis user_id=7", ts)


MISSES = [verify("12:00"), verify("12:04"), verify("12:09")]


def test_three_challenges_that_are_not_found_open_webauthn_challenge_miss() -> None:
    assert found("webauthn_challenge_miss", *MISSES[:2]) == []
    assert found("webauthn_challenge_miss", *MISSES) == ["raxx-api-prod error 12:09"]
    slow = [verify(time, service="11ms") for time in ("12:00", "12:01", "12:02")]
    assert found("webauthn_challenge_miss", *slow) == []
    assert found("webauthn_challenge_miss", *[verify(f"12:0{n}", path="/api/auth/login") for n in range(4)]) == []


def test_it_ends_when_one_is_found_and_answered_well() -> None:
    well = verify("12:20", status=200, service="40ms")
    assert found("webauthn_challenge_miss", *MISSES, well, until="12:30") == ["raxx-api-prod error 12:09"]
    assert found("webauthn_challenge_miss", *MISSES, popped("12:19:59"), well, until="12:30") == [
        "raxx-api-prod error 12:09 to 12:20"
    ]


def test_the_clocks_of_app_and_router_differ() -> None:
    well = verify("12:20", status=200, service="40ms")
    assert found("webauthn_challenge_miss", *MISSES, well, popped("12:20:01"), until="12:30") == [
        "raxx-api-prod error 12:09 to 12:20:01"
    ]
    late = popped("12:20:03")
    assert found("webauthn_challenge_miss", *MISSES, well, late, until="12:30") == ["raxx-api-prod error 12:09"]


def status(ts: str, answer: int, **pairs: Any) -> bytes:
    return router_line(ts, path=f"/api/system/status?t={ts}", status=answer, **pairs)


def test_health_check_failing_ends_after_three_good_answers_in_a_row() -> None:
    bad = [status("12:00:00", 503), status("12:00:30", 403), status("12:01:59", 500, code="H12")]
    assert found("health_check_failing", *bad[:2], status("12:02:01", 500)) == []
    assert found("health_check_failing", *bad) == ["/api/system/status critical 12:01:59"]
    good = [status(f"12:0{n}", 200) for n in (3, 4, 6, 7, 8)]
    assert found("health_check_failing", *bad, *good[:2], status("12:05", 502), *good[2:], until="12:09") == [
        "/api/system/status critical 12:01:59 to 12:08"
    ]


def test_a_path_that_nobody_watches_is_no_health_check() -> None:
    assert found("health_check_failing", *[router_line(f"12:00:0{n}", status=500) for n in range(5)]) == []
    maintenance = [status(f"12:00:0{n}", 503, code="H80") for n in range(5)]
    assert found("health_check_failing", *maintenance) == []


# -- what the platform says of itself --------------------------------------------------------------------------------


def told(system: str, colour: str, ts: str) -> Batch:
    """An answer of the status page, as an event of drainwatch's own."""
    [event] = events_of(shop("status", ts, system=system, status=colour))
    fields = {name: getattr(event, name) for name in event.__slots__} | {"kind": "platform_status"}
    return Batch([type(event)(**fields)], event.at)


def platform(*batches: Batch) -> list[tuple[str, str | None]]:
    clock = "%H:%M"
    return [
        (f"{one.fired_at:{clock}}", f"{one.cleared_at:{clock}}" if one.cleared_at else None)
        for one in backtest([rule_named("platform_incident")], batches)
    ]


END = batch_of(router_line("12:50"))
H99 = [router_line(f"12:04:0{n}", code="H99") for n in range(5)]


def test_a_burst_of_platform_errors_ends_by_quiet() -> None:
    assert platform(batch_of(*H99[:4])) == []
    assert platform(batch_of(*H99), batch_of(router_line("12:30"))) == [("12:04", "12:19")]


def test_what_the_status_page_says_ends_when_each_system_is_green_again() -> None:
    red = [told("Apps", "red", "12:00"), told("Data", "yellow", "12:01")]
    assert platform(*red, told("Apps", "green", "12:10"), told("Tools", "green", "12:40")) == [("12:00", None)]
    assert platform(*red, told("Apps", "green", "12:10"), told("Data", "green", "12:41"), END) == [("12:00", "12:41")]


def test_a_green_page_does_not_end_a_burst_that_goes_on() -> None:
    story = [batch_of(*H99), told("Apps", "green", "12:05"), batch_of(router_line("12:30"))]
    assert platform(*story) == [("12:04", "12:19")]
    both = [
        told("Apps", "red", "11:59"),
        batch_of(*H99),
        told("Apps", "green", "12:05"),
        batch_of(router_line("12:30")),
    ]
    assert platform(*both) == [("11:59", "12:19")]


def test_a_blank_app_is_one_that_nothing_was_deployed_to_since_its_first_release() -> None:
    first = [api("Initial release", "12:00"), api("Release v1 created", "12:00"), api("Release v2 created", "12:01")]
    assert found("blank_app", *first, until="12:30:10") == ["raxx-api-prod error 12:30"]
    deploy = api("Deploy 193d1419", "12:29")
    assert found("blank_app", *first, deploy, until="13:00") == []
    assert found("blank_app", *first[2:], until="13:00") == []
    h81 = router_line("12:00", code="H81", dyno="", status=502)
    assert found("blank_app", h81, deploy, state("web.1", "starting", "up", "12:30")) == [
        "raxx-api-prod error 12:00 to 12:29"
    ]
