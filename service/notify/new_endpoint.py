"""What an endpoint may be and want: each value checked, and the first wrong one refused with what was expected."""

import re
from collections.abc import Sequence

from parsers.filters import FilterError, parse_filter
from service.errors import Refused
from service.notify import apprise_way, quiet
from service.notify.addresses import check_url
from service.notify.formats import FORMATS
from service.notify.notification import TYPES

URL_LENGTH = 2048
ROUTING_KEY = r"^[!-~]{1,100}$"
# Who is reminded more often than this learns to look away; after a week nobody waits for it.
LEAST_REPEAT_S, MOST_REPEAT_S = 60, 7 * 86_400


def check_new(
    *,
    url: str,
    format: str,
    match: str,
    types: Sequence[str] | None,
    allow_private: bool,
    routing_key: str | None,
    repeat_s: int | None,
    quiet_hours: str | None,
) -> None:
    """Raises Refused (400, with its parameter) for the first value that cannot be. The message repeats no URL and no key."""
    if len(url) > URL_LENGTH:
        raise Refused(
            400,
            f"the URL has {len(url)} characters; expected at most {URL_LENGTH}",
            parameter="url",
            expected=f"at most {URL_LENGTH} characters",
        )
    _check_word("format", format, tuple(FORMATS))
    if format == "apprise" and apprise_way.is_own_url(url):
        apprise_way.check_own_url(url, allow_private=allow_private)
    else:
        check_url(url, allow_private=allow_private)
    _check_routing_key(format, routing_key)
    check_wishes(match=match, types=types, repeat_s=repeat_s, quiet_hours=quiet_hours)


def check_wishes(
    *,
    match: str = "",
    types: Sequence[str] | None = None,
    repeat_s: int | None = None,
    quiet_hours: str | None = None,
) -> None:
    """Raises Refused (400, with its parameter) for the first of what an endpoint wants that cannot be."""
    _check_match(match)
    _check_repeat(repeat_s)
    _check_quiet_hours(quiet_hours)
    for wanted in types or ():
        _check_word("types", wanted, TYPES)
    if types is not None and not types:
        raise Refused(
            400,
            "types is an empty list, and such an endpoint is told nothing; expected at least one type, or null for all",
            parameter="types",
            expected=f"null, or some of {', '.join(TYPES)}",
        )


def _check_word(parameter: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        expected = f"{'one' if parameter == 'format' else 'some'} of {', '.join(known)}"
        raise Refused(
            400, f"{parameter} holds {value[:80]!r}; expected {expected}", parameter=parameter, expected=expected
        )


def _check_routing_key(format: str, routing_key: str | None) -> None:
    if format == "pagerduty" and (routing_key is None or not re.fullmatch(ROUTING_KEY, routing_key)):
        expected = "the integration key of a PagerDuty service (Events API v2)"
        said = "is missing" if not routing_key else "cannot be one"
        raise Refused(400, f"routing_key {said}; expected {expected}", parameter="routing_key", expected=expected)
    if format != "pagerduty" and routing_key is not None:
        raise Refused(
            400,
            f'routing_key is for the format "pagerduty", and this is "{format}"; leave it out',
            parameter="routing_key",
            expected="none for this format",
        )


def _check_repeat(repeat_s: int | None) -> None:
    if repeat_s is not None and not LEAST_REPEAT_S <= repeat_s <= MOST_REPEAT_S:
        expected = f"{LEAST_REPEAT_S} to {MOST_REPEAT_S} seconds, or null for no reminders"
        raise Refused(400, f"repeat_s is {repeat_s}; expected {expected}", parameter="repeat_s", expected=expected)


def _check_quiet_hours(text: str | None) -> None:
    try:
        if text is not None:
            quiet.parse_quiet_hours(text)
    except ValueError as error:
        raise Refused(
            400,
            f"quiet_hours is {text!r:.100}; expected {error}",
            parameter="quiet_hours",
            expected=str(error),
        ) from error


def _check_match(text: str) -> None:
    try:
        parse_filter(text)
    except FilterError as error:
        raise Refused(
            400,
            f"match is wrong at column {error.column}: expected {error.expected}",
            parameter="match",
            column=error.column,
            expected=error.expected,
        ) from error
