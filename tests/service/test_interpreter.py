"""The collector looks seldom, and still finds what only points to itself."""

import gc
import sys
import weakref
from collections.abc import Iterator

import pytest

from service import interpreter


class Knot:
    """What only points to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def settled() -> Iterator[None]:
    before, interval = gc.get_threshold(), sys.getswitchinterval()
    interpreter.settle()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    sys.setswitchinterval(interval)


def test_what_is_made_and_dropped_is_never_looked_at(settled: None) -> None:
    looked = [one["collections"] for one in gc.get_stats()]
    lines = [[b"%d" % number] for number in range(20_000)]
    assert len(lines) == 20_000
    assert [one["collections"] for one in gc.get_stats()] == looked


def test_knots_go_before_they_are_many(settled: None) -> None:
    knots = [weakref.ref(Knot()) for _ in range(400_000)]
    assert sum(knot() is not None for knot in knots) < 200_000
