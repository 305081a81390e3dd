"""What schemathesis cannot know of the document's own formats: filters that can be read, a list's own cursors.

It loads this file (`schemathesis.toml`); a value of such a format that it makes itself would be wrong nearly always.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import strategies as st

from any_filter import trees
from parsers.filters.tree import render
from service.store.pages import Key, cursor_of

# A cursor belongs to one list, which only the whole request names.
_ANY_CURSOR = "a-cursor"

filters = trees.map(render)
bounds = st.sampled_from(["app:shop", "app:raxx-*", "rule:error_rate", "(app:shop OR rule:crash_loop)"])
quiet_hours = st.sampled_from(["22:00-07:00 Europe/Berlin", "00:00-23:59 UTC", "12:30-13:30 America/New_York"])

schemathesis.openapi.format("filter", filters)
schemathesis.openapi.format("filter-of-some", st.builds("{0} ({1})".format, bounds, filters) | bounds)
schemathesis.openapi.format("quiet-hours", quiet_hours)
schemathesis.openapi.format("cursor", st.just(_ANY_CURSOR))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Gives a list a cursor of its own."""
    if case.query and case.query.get("cursor") == _ANY_CURSOR:
        place = Key(datetime(2026, 5, 11, 12, tzinfo=UTC), UUID("0196bf00-7c1e-7000-8000-00000000000a"), 7)
        case.query["cursor"] = cursor_of(place, of=case.operation.path.rpartition("/")[2])
