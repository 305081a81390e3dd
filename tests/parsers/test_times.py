import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.times import bucket_of, pack_times, quantiles, unpack_times

SHARES = (0.5, 0.95, 0.99)


def times_of(values: list[int]) -> dict[int, int]:
    times: dict[int, int] = {}
    for value in values:
        times[bucket_of(value)] = times.get(bucket_of(value), 0) + 1
    return times


@pytest.mark.parametrize("middle", [3, 40, 900, 20_000])
def test_quantiles_of_a_skewed_distribution_are_within_two_percent_of_the_exact_ones(middle: int) -> None:
    chance = random.Random(middle)
    values = sorted(int(middle * chance.lognormvariate(0, 1.2)) for _ in range(20_000))
    for share, found in zip(SHARES, quantiles(times_of(values), SHARES), strict=True):
        exact = values[int(share * (len(values) - 1))]
        assert found == pytest.approx(exact, rel=0.02, abs=0.01)


@given(st.integers(0, 10**9))
def test_every_value_is_read_back_within_one_percent(value: int) -> None:
    assert quantiles({bucket_of(value): 1}, (0.5,)) == [pytest.approx(value, rel=0.0076)]


def test_whole_milliseconds_up_to_a_hundred_are_exact() -> None:
    assert [quantiles({bucket_of(value): 1}, (0.5,)) for value in range(100)] == [[value] for value in range(100)]


def test_two_values_have_their_middle_between_them() -> None:
    assert quantiles(times_of([10, 20]), (0.0, 0.5, 1.0)) == [10, 15, 20]


def test_nothing_has_no_quantiles() -> None:
    assert quantiles({}, SHARES) == [None, None, None]


@given(st.dictionaries(st.integers(0, 2**16 - 1), st.integers(1, 2**40)))
def test_what_was_packed_is_unpacked(times: dict[int, int]) -> None:
    assert unpack_times(pack_times(times)) == times


def test_a_usual_minute_takes_three_bytes_a_bucket() -> None:
    times = times_of([random.Random(value).randint(1, 400) for value in range(200)])
    assert len(pack_times(times)) == 1 + 3 * len(times)
