"""`occurs` gives what `in` gives, in short bytes and in long ones."""

import random

import pytest

from service.store import byte_search
from service.store.byte_search import occurs


@pytest.mark.parametrize("length", [0, 1, 100, 2047, 2048, 5000, 70_000])
def test_what_stands_anywhere_in_some_bytes_occurs_and_nothing_else(length: int) -> None:
    chance = random.Random(length)
    for _ in range(300):
        within = bytes(chance.choices(b"ab-\0", k=length))
        begin = chance.randint(0, length)
        taken = within[begin : begin + chance.randint(1, 40)]
        made = bytes(chance.choices(b"ab-\0", k=chance.randint(1, 12)))
        for needle in (taken, made, taken + b"c"):
            assert occurs(needle, within) is (needle in within)


def test_nothing_occurs_everywhere_and_what_is_longer_nowhere() -> None:
    assert occurs(b"", b"")
    assert occurs(b"", b"x" * 5000)
    assert not occurs(b"x" * 5001, b"x" * 5000)


def test_where_the_c_library_has_no_memmem_it_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_search, "_FIND", None)
    assert occurs(b"y", b"x" * 5000 + b"y")
    assert not occurs(b"z", b"x" * 5000)
