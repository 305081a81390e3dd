from prometheus_client import CollectorRegistry, generate_latest

from counting import samples
from service.metrics import REGISTRY, Answers


def page_of(answers: Answers) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry()
    registry.register(answers)
    return samples(generate_latest(registry).decode())


def test_answers_are_counted_by_status_and_by_the_time_that_they_took() -> None:
    answers = Answers()
    for seconds in (0.001, 0.005, 0.006, 3.0, 60.0):
        answers.note(204, seconds)
    answers.note(503, 4.0)

    page = page_of(answers)

    assert page["drainwatch_answers_total", (("status", "204"),)] == 5
    assert page["drainwatch_answers_total", (("status", "503"),)] == 1
    below = {
        bound: page["drainwatch_answer_seconds_bucket", (("le", bound), ("status", "204"))]
        for bound in ("0.0025", "0.005", "0.01", "2.0", "4.0", "5.0", "+Inf")
    }
    assert below == {"0.0025": 1, "0.005": 2, "0.01": 3, "2.0": 3, "4.0": 4, "5.0": 4, "+Inf": 5}
    assert page["drainwatch_answer_seconds_count", (("status", "204"),)] == 5
    assert page["drainwatch_answer_seconds_sum", (("status", "204"),)] == 0.001 + 0.005 + 0.006 + 3.0 + 60.0


def test_the_series_of_a_refusal_is_there_before_the_first_one() -> None:
    page = page_of(Answers())

    for status in ("204", "401", "403", "413", "415", "503"):
        assert page["drainwatch_answers_total", (("status", status),)] == 0


def test_an_answer_that_nobody_foresaw_is_counted_too() -> None:
    answers = Answers()
    answers.note(418, 0.1)

    assert page_of(answers)["drainwatch_answers_total", (("status", "418"),)] == 1


def test_every_name_says_whose_it_is_and_what_it_counts() -> None:
    for family in REGISTRY.collect():
        assert family.name.startswith(("drainwatch_", "process_")), family.name
        assert family.documentation.endswith("."), family.name
