"""Signatures as Standard Webhooks 1.0 says: HMAC-SHA256 over `id.timestamp.body`, one for each secret that is live."""

import base64
import hashlib
import hmac
import secrets as chance
from collections.abc import Sequence
from datetime import datetime, timedelta

# How long both secrets sign after a rotation: a receiver has a day to learn the new one.
OVERLAP = timedelta(hours=24)

_PREFIX = "whsec_"


def new_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes (the specification asks for 24 to 64)."""
    return _PREFIX + base64.b64encode(chance.token_bytes(32)).decode()


def live_secrets(secret: str, previous: str | None, previous_until: datetime | None, now: datetime) -> tuple[str, ...]:
    """The secrets to sign with at `now`: the present one, then the one before it while its overlap lasts."""
    if previous is not None and previous_until is not None and now < previous_until:
        return (secret, previous)
    return (secret,)


def signature_headers(webhook_id: str, body: bytes, *, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` (whole seconds since 1970) and `webhook-signature` of one attempt.

    The signatures stand in the order of `secrets`, divided by spaces; a receiver takes any that fits.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in secrets),
    }


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
