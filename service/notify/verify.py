"""What is wrong with a request that says it comes from drainwatch: for whoever writes a receiver, and asks why it refuses.

A signature that does not fit says nothing of the reason. So what usually happens to a body on its way is tried: with it undone,
does the signature fit?
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from service.notify.signature import signature_headers

# What the libraries of Standard Webhooks take.
TOLERANCE = timedelta(minutes=5)

_NEEDED = ("webhook-id", "webhook-timestamp", "webhook-signature")


def read_headers(text: str) -> dict[str, str]:
    """`Name: value` lines, as a request has them (its first line may be there too), or a JSON object → values by names in lower
    case."""
    if text.lstrip().startswith("{"):
        try:
            said = json.loads(text)
        except ValueError:
            said = {}
        return {str(name).lower(): str(value).strip() for name, value in said.items()}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def findings(
    body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime, any_time: bool = False
) -> list[str]:
    """What is wrong with it, a sentence each; nothing where a receiver must take it. `any_time`: however old it is."""
    missing = [name for name in _NEEDED if not headers.get(name)]
    if missing:
        return [f"there is no header {' and no '.join(missing)}; expected all of {', '.join(_NEEDED)}"]
    if not _is_secret(secret):
        return ['the secret is none; expected "whsec_" and base64, as `webhook add` and `webhook rotate` print it']
    said = headers["webhook-timestamp"]
    if not (said.isascii() and said.isdigit() and len(said) <= 11):
        return [f"webhook-timestamp is {said[:40]!r}; expected whole seconds since 1970"]
    found = [] if any_time else list(_wrong_time(datetime.fromtimestamp(int(said), UTC), now))
    return found + _wrong_signature(body, headers, secret)


def _wrong_time(at: datetime, now: datetime) -> Iterator[str]:
    age = round((now - at).total_seconds())
    limit = round(TOLERANCE.total_seconds())
    if age > limit:
        yield (
            f"the timestamp is stale: {at:%Y-%m-%d %H:%M:%S} UTC, {age} s ago; a receiver takes {limit} s. Each attempt "
            "has a new one, so this is an old copy, or a clock is wrong"
        )
    elif -age > limit:
        yield f"the timestamp lies {-age} s ahead: {at:%Y-%m-%d %H:%M:%S} UTC; a receiver takes {limit} s. A clock is wrong"


def _wrong_signature(body: bytes, headers: Mapping[str, str], secret: str) -> list[str]:
    signatures = [one for one in headers["webhook-signature"].split() if one.startswith("v1,")]
    if not signatures:
        return [
            f'webhook-signature is {headers["webhook-signature"][:60]!r}; expected "v1," and base64, once for each secret'
        ]

    def fits(body: bytes, secret: str = secret) -> bool:
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        [expected] = signature_headers(headers["webhook-id"], body, secrets=[secret], at=at)[
            "webhook-signature"
        ].split()
        return any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures)

    if fits(body):
        return []
    for what, undone in _UNDONE.items():
        if (before := undone(body)) is not None and before != body and fits(before):
            return [f"the body was changed: {what}; sign and verify its bytes as they came, before anything reads them"]
    return [
        "no signature fits: the secret is wrong (another webhook's, or one that was rotated away more than a day ago), or the "
        "body, the webhook-id or the webhook-timestamp was changed"
    ]


def _rewritten(body: bytes) -> bytes | None:
    """The JSON as drainwatch writes it."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _decoded(body: bytes) -> bytes | None:
    """The text that was taken for Latin-1 on its way."""
    try:
        return body.decode().encode("latin-1")
    except UnicodeError:
        return None


# What usually happens to a body → the body without it.
_UNDONE: Mapping[str, Callable[[bytes], bytes | None]] = {
    "a newline was added at its end": lambda body: body.rstrip(b"\r\n"),
    "it was read as JSON and written anew": _rewritten,
    "its bytes were taken for Latin-1": _decoded,
}


def _is_secret(secret: str) -> bool:
    try:
        return secret.startswith("whsec_") and len(base64.b64decode(secret[len("whsec_") :], validate=True)) >= 8
    except (binascii.Error, ValueError):
        return False
