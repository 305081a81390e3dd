from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Refused
from service.store.pages import Key, cursor_of, read_cursor

NOON = datetime(2026, 5, 11, 12, 0, 0, 123456, tzinfo=UTC)
KEY = Key(NOON, UUID("019e1740-7c80-7000-8000-000000000001"), 7)


@given(
    at=st.datetimes(timezones=st.just(UTC)),
    id=st.uuids(),
    number=st.integers(0, 2**32 - 1),
)
def test_a_cursor_gives_back_the_key_it_was_made_of(at: datetime, id: UUID, number: int) -> None:
    key = Key(at, id, number)

    assert read_cursor(cursor_of(key, of="events"), of="events") == key


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + "A", lambda c: "_" + c[1:], lambda c: c.swapcase()])
def test_a_cursor_that_was_cut_or_changed_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Refused) as refused:
        read_cursor(change(cursor_of(KEY, of="events")), of="events")

    assert (refused.value.status, refused.value.parameter) == (400, "cursor")


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(Refused, match="none that this list has given"):
        read_cursor(cursor_of(KEY, of="errors"), of="events")


@given(text=st.text(max_size=100))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Refused):
        read_cursor(text, of="events")
