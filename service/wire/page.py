"""A page of a list: `{"items": […], "next_cursor": …}`."""

from collections.abc import Callable
from typing import Generic, TypeVar

from typing_extensions import TypedDict

from service.store.pages import Page, cursor_of

Item = TypeVar("Item")
Row = TypeVar("Row")


class PageJson(TypedDict, Generic[Item]):
    """Some items of a list, and `next_cursor` for the page after them: null on the last one."""

    items: list[Item]
    next_cursor: str | None


def page_json(page: Page[Row], render: Callable[[Row], Item], *, of: str) -> PageJson[Item]:
    """`page` with each row rendered. `of` is the list's name; its cursors serve for that list alone."""
    return {
        "items": [render(row) for row in page.items],
        "next_cursor": cursor_of(page.next, of=of) if page.next else None,
    }
