import pytest

from service.cli.logplex.answers import NO_ANSWER, Verdict, delay_s, shuttle_verdict, verdict


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_is_done(status: int) -> None:
    assert verdict(status) is Verdict.TAKEN


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 499])
def test_a_4xx_gives_the_frame_up(status: int) -> None:
    assert verdict(status) is Verdict.DROPPED


@pytest.mark.parametrize("status", [NO_ANSWER, 100, 301, 302, 429, 500, 503])
def test_all_else_costs_a_try(status: int) -> None:
    assert verdict(status) is Verdict.AGAIN


def test_log_shuttle_sends_again_only_what_nobody_answered() -> None:
    assert [shuttle_verdict(status) for status in (204, 503, 429, 400, NO_ANSWER)] == [
        Verdict.TAKEN,
        Verdict.DROPPED,
        Verdict.DROPPED,
        Verdict.DROPPED,
        Verdict.AGAIN,
    ]


def test_waiting_grows_with_each_attempt_up_to_five_seconds() -> None:
    assert [delay_s(attempt, 0.999) for attempt in (1, 2, 3, 10, 99)] == [0.0, 0.01, 0.03, 5.11, 5.11]
    assert delay_s(10, 0.0) == 0.0
