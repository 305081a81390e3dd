from service.rates import Rates


def test_so_many_are_allowed_at_once_and_then_as_many_as_a_minute_brings() -> None:
    rates = Rates(60)

    first = [rates.take("a", 0.0) for _ in range(61)]

    assert [one.allowed for one in first] == [True] * 60 + [False]
    assert (first[0].left, first[59].left, first[60].next_in, first[60].full_in) == (59, 0, 1, 60)
    assert rates.take("a", 1.0).allowed
    assert not rates.take("a", 1.5).allowed
    assert rates.take("a", 100.0).left == 59


def test_each_has_a_bucket_of_its_own() -> None:
    rates = Rates(1)

    assert [rates.take(key, 0.0).allowed for key in ("a", "b", "a")] == [True, True, False]
    assert (rates.is_spent("a", 0.0), rates.is_spent("c", 0.0), rates.is_spent("a", 59.5)) == (60, 0, 1)


def test_what_is_kept_is_bounded() -> None:
    rates = Rates(1)
    for n in range(25_000):
        rates.take(n, n / 1000)

    assert len(rates._used) <= 10_000
