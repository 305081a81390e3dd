"""Who posts: HTTP Basic credentials → the drain, the same answer for an unknown app and for a wrong secret."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from service.errors import StoreAway
from service.ingest.known_drains import KnownDrains
from service.store import drains
from service.store.database import Database
from service.store.drains import DrainCredentials

# An old secret or a removed drain is refused everywhere after this time.
FRESH_SECONDS = 2.0
# A secret that is not among those known may be new: it waits until they are asked for again, but that is not done more often
# than this, or strangers' guesses would cost a query each. A 401 would make Logplex drop the frame for good.
MISS_SECONDS = 0.1
# While the database is away, who was known this long ago is no stranger. With a spool there is no such bound, for there is no
# other to how long frames can be kept.
STALE_SECONDS = 3600.0
# Who was known is not kept waiting longer than this for a database that is slow, and not at all for this long after it was
# found to be away.
SOON_SECONDS = 0.5
AWAY_SECONDS = 1.0
# Apps whose credentials are kept, and headers that have proved themselves; beyond it the oldest of the ones go, and all of the
# others (strangers' guesses must not fill the memory).
MOST_APPS = 10_000

_APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NOBODY = hashlib.sha256(b"nobody").digest()


@dataclass(frozen=True, slots=True)
class _Known:
    credentials: list[DrainCredentials]
    read_at: float


class Authentication:
    """Looks drains up, and keeps what it found for FRESH_SECONDS so that a busy drain costs no query per frame."""

    def __init__(self, db: Database, remembered: KnownDrains | None = None) -> None:
        """`remembered` is what the spool knows of the drains, if there is one."""
        self._db = db
        self._remembered = remembered
        self._known: dict[str, _Known] = {}
        self._proved: dict[bytes, tuple[_Known, DrainCredentials]] = {}  # by a header's digest, what it has proved
        self._asking: dict[str, asyncio.Task[_Known]] = {}
        self._away_until = 0.0

    async def drain_of(self, authorization: str | None) -> DrainCredentials | None:
        """The drain whose credentials the header holds; None for anybody else. Raises StoreAway where nobody can tell: a secret
        that was never seen may be new."""
        if authorization is None:
            return None
        digest = hashlib.sha256(authorization.encode("latin-1")).digest()
        if drain := self._proved_by(digest):
            return drain
        app, secret = _basic(authorization)
        if app is None:
            return None
        arrived_at, hashed = monotonic(), hashlib.sha256(secret).digest()
        found = _matching(await self._probable(app), hashed)
        found = found or _matching(await self._certain(app, arrived_at), hashed)
        if found and app in self._known and found in self._known[app].credentials:
            if len(self._proved) >= MOST_APPS:
                self._proved.clear()
            self._proved[digest] = self._known[app], found
        return found

    def proved(self, authorization: bytes) -> DrainCredentials | None:
        """The drain whose credentials the header has held within FRESH_SECONDS; None where only `drain_of` can tell."""
        return self._proved_by(hashlib.sha256(authorization).digest())

    def app_of(self, authorization: str | None) -> int | None:
        """The id of the app that the header names, whoever sends it; None where it names none of ours. Asks nobody: it knows
        those that `drain_of` was just asked about."""
        app, _ = _basic(authorization)
        known = self._known.get(app) if app is not None else None
        return known.credentials[0].app_id if known and known.credentials else None

    def _proved_by(self, digest: bytes) -> DrainCredentials | None:
        if proved := self._proved.get(digest):
            known, drain = proved
            if self._known.get(drain.app) is known and monotonic() - known.read_at < FRESH_SECONDS:
                return drain
        return None

    async def _certain(self, app: str, since_s: float) -> list[DrainCredentials]:
        """The app's drains as they were at `since_s`, or later; waits for its turn to ask. Raises StoreAway."""
        known = self._known.get(app)
        while known is None or known.read_at < since_s:
            if known is not None:
                await asyncio.sleep(known.read_at + MISS_SECONDS - monotonic())
            known = await asyncio.shield(self._ask(app))
        return known.credentials

    async def _probable(self, app: str) -> list[DrainCredentials]:
        """The app's drains as they were at most FRESH_SECONDS ago, or longer while the database is slow or away. Raises
        StoreAway where they are not known at all."""
        known = self._known.get(app)
        if known and monotonic() - known.read_at < FRESH_SECONDS:
            return known.credentials
        old = self._old(app)
        if old and monotonic() < self._away_until:
            return old
        asking = self._ask(app)
        if old:
            await asyncio.wait((asking,), timeout=SOON_SECONDS)
            if not asking.done() or isinstance(asking.exception(), StoreAway):
                return old
        return (await asyncio.shield(asking)).credentials

    def _old(self, app: str) -> list[DrainCredentials]:
        """The app's drains as they last were, if that still says something; else none."""
        known = self._known.get(app)
        if self._remembered is None:
            return known.credentials if known and monotonic() - known.read_at < STALE_SECONDS else []
        return (known.credentials if known else []) or self._remembered.of(app)

    def _ask(self, app: str) -> "asyncio.Task[_Known]":
        """The question that is under way, or a new one."""
        asking = self._asking.get(app)
        if asking is None:
            asking = self._asking[app] = asyncio.create_task(self._find(app))
            asking.add_done_callback(lambda done: self._answered(app, done))
        return asking

    def _answered(self, app: str, asking: "asyncio.Task[_Known]") -> None:
        del self._asking[app]
        if not asking.cancelled() and isinstance(asking.exception(), StoreAway):
            self._away_until = monotonic() + AWAY_SECONDS

    async def _find(self, app: str) -> _Known:
        read_at = monotonic()
        async with self._db.read() as conn:
            known = _Known(await drains.find(conn, app), read_at)
        self._known.pop(app, None)
        self._known[app] = known
        if len(self._known) > MOST_APPS:
            del self._known[next(iter(self._known))]
        if self._remembered is not None:
            self._remembered.compare(app, known.credentials)
        return known


def _matching(credentials: Sequence[DrainCredentials], hashed: bytes) -> DrainCredentials | None:
    """The drain that has this secret; all are compared, so that the time tells nothing."""
    found = None
    for one in credentials:
        if hmac.compare_digest(hashed, one.secret_hash):
            found = one
        in_overlap = one.previous_until is not None and one.previous_until > datetime.now(UTC)
        if hmac.compare_digest(hashed, one.previous_hash or _NOBODY) and in_overlap:
            found = found or one
    if not credentials:
        hmac.compare_digest(hashed, _NOBODY)
    return found


def _basic(authorization: str | None) -> tuple[str | None, bytes]:
    """User name and password of a Basic header (RFC 7617 §2); (None, b"") for anything else."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None, b""
    try:
        user, colon, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        app = user.decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None, b""
    return (app, secret) if colon and _APP_NAME.fullmatch(app) else (None, b"")
