"""Ids: they sort by the time they were made, and never meet."""

import os
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from service.store.ids import made_at, new_id, new_ids

NOON = datetime(2026, 5, 11, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_as_rfc_9562_lays_it_out() -> None:
    made = new_id(NOON)
    assert (made.version, made.variant) == (7, RFC_4122)


def test_an_id_tells_the_millisecond_in_which_it_was_made() -> None:
    assert made_at(new_id(NOON)) == NOON.replace(microsecond=123000)


def test_ids_of_one_millisecond_rise_in_the_order_they_were_made() -> None:
    made = [new_id(NOON) for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_of_one_millisecond_rise_even_when_others_came_between() -> None:
    first, _, last = new_id(NOON), new_id(NOON - timedelta(seconds=1)), new_id(NOON)
    assert first < last


def test_ids_made_together_rise_between_those_made_before_and_after() -> None:
    made = [new_id(NOON), *new_ids(NOON, 1000), new_id(NOON), *new_ids(NOON, 0)]
    assert len(made) == 1002
    assert made == sorted(set(made))
    assert {(made_at(one), one.version, one.variant) for one in made} == {(made_at(made[0]), 7, RFC_4122)}


def test_ids_made_now_rise_and_lie_near_now() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert abs(made_at(made[-1]) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    new_id(NOON)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id(NOON).bytes)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16) != new_id(NOON).bytes
    os.close(reading)
    os.close(writing)
