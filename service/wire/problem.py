"""Problem details: what every refusal of the API looks like (RFC 9457)."""

from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"

# The JSON Schema of what `problem_json` gives, for the API's description.
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457). `detail` is a sentence for a person.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "examples": ["Bad Request"]},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "examples": ['limit is "0"; expected a whole number from 1 to 1000']},
        "parameter": {"type": "string", "description": "The parameter, or the body's member, that is wrong."},
        "column": {"type": "integer", "minimum": 1, "description": "Where in a filter it is wrong."},
        "expected": {"type": "string", "description": "What would have been right there."},
        "incident": {"type": "object", "description": "With 409: the incident as it is now."},
    },
}


def problem_json(
    status: int,
    detail: str,
    *,
    parameter: str | None = None,
    column: int | None = None,
    expected: str | None = None,
    extra: dict[str, object] | None = None,
) -> dict[str, object]:
    """A problem document; members that say nothing are left out. `extra` may not name a member of the standard."""
    said = {"parameter": parameter, "column": column, "expected": expected}
    return {
        **(extra or {}),
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": detail,
        **{name: value for name, value in said.items() if value is not None},
    }


def _title(status: int) -> str:
    # RFC 9457 §4.2.1: for about:blank the title is the status's own phrase.
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
