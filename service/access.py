"""Who may do what: tokens and their scopes.

A token is 256 random bits, kept as its SHA-256: nothing slower is needed against guessing, and a look-up by hash takes the
same time however much of a wrong token is right. Nothing is cached, so that a revoked token is refused at once; only who reads
the metrics is remembered, for the time in which the database is away: that is when one looks at them. Wrong tokens of one
address are counted, and beyond a hundred a minute refused without a look; tokens that were good lately are none of them.

The admin token of the settings is valid without the database. Where the settings give none, the first start makes one and
leaves it in the home folder, where the command line finds it.
"""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from time import monotonic

from service.errors import Refused, SettingError, StoreAway
from service.rates import Rates, Taken
from service.store import tokens
from service.store.database import Database
from service.store.tokens import Token

PREFIX = "dw_"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105

REMEMBERED_SECONDS = 3600.0
LOOKED_UP_SECONDS = 2.0
# Nobody mistypes a token as often.
FAILURES_A_MINUTE = 100
_MOST_GOOD = 10_000

# An app's name, or a glob of some.
APPS = r"^[A-Za-z0-9._*?-]{1,100}$"
MOST_APPS = 50

# A token's name: what a person reads in a list and a timeline.
NAME = r"^[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]{0,99}$"


class Scope(IntEnum):
    """What a token allows; each scope holds the ones below it."""

    READ = 1  # events, lines, incidents
    WRITE = 2  # also what is done to incidents
    ADMIN = 3  # also drains, webhooks, tokens, quarantine

    @property
    def label(self) -> str:
        """`Scope.READ` → `"read"`."""
        return self.name.lower()


SCOPES = tuple(scope.label for scope in Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the token's name, and what it allows; of which apps (globs; None: of all). `id` is None for the settings'
    own."""

    name: str
    scope: Scope
    id: int | None = None
    apps: tuple[str, ...] | None = None


class Access:
    """Checks tokens. One for a process; `admin_token` is the settings' own, None where they have none. `a_minute` is how often
    each token may ask; None: as often as it likes."""

    def __init__(self, db: Database, *, admin_token: str | None, a_minute: int | None = None) -> None:
        self._db = db
        self._rates = Rates(a_minute) if a_minute else None
        self._failures = Rates(FAILURES_A_MINUTE)
        self._good: dict[bytes, None] = {}
        self._admin_hash = _hash(admin_token) if admin_token else None
        self._known: dict[bytes, tuple[Caller, float]] = {}

    async def check(
        self, authorization: str | None, needed: Scope, *, remembered: bool = False, address: str | None = None
    ) -> Caller:
        """Who sends this `Authorization` header, from an `address` where that is known.

        `remembered`: while the database is away, who has asked so within the last hour may go on asking. Raises Refused: 401
        where it holds no valid token, 403 where the token's scope does not reach to `needed`, 429 where too many wrong ones
        came from there. Raises StoreAway where the token cannot be looked up.
        """
        token = _bearer(authorization)
        caller = await self._limited(token, address, remembered=remembered)
        if caller.scope < needed:
            raise Refused(
                403,
                f"the token {caller.name!r} has the scope {caller.scope.label}; expected {needed.label}: "
                f"`drainwatch token create --scope {needed.label}` makes one",
            )
        return caller

    def spend(self, caller: Caller) -> Taken | None:
        """Counts a request of that token; None where requests are not limited. Raises Refused (429) beyond the limit."""
        if self._rates is None:
            return None
        taken = self._rates.take(caller.id, monotonic())
        if not taken.allowed:
            raise Refused(
                429,
                f"the token {caller.name!r} has asked more than {taken.limit} times in a minute; expected the next request in "
                f"{taken.next_in} s",
                headers={"Retry-After": str(taken.next_in), **rate_headers(taken)},
            )
        return taken

    async def _limited(self, token: str, address: str | None, *, remembered: bool) -> Caller:
        token_hash = _hash(token)
        if address is not None and token_hash not in self._good:
            wait = self._failures.is_spent(address, monotonic())
            if wait:
                raise Refused(
                    429,
                    f"too many wrong tokens came from {address}; expected the next try in {wait} s",
                    headers={"Retry-After": str(wait)},
                )
        try:
            caller = await (self._remembered(token) if remembered else self._caller(token))
        except Refused:
            self._good.pop(token_hash, None)
            if address is not None:
                self._failures.take(address, monotonic())
            raise
        if len(self._good) >= _MOST_GOOD:
            self._good.clear()
        self._good[token_hash] = None
        return caller

    async def _remembered(self, token: str) -> Caller:
        token_hash = _hash(token)
        try:
            async with asyncio.timeout(LOOKED_UP_SECONDS):
                caller = await self._caller(token)
        except Refused:
            self._known.pop(token_hash, None)
            raise
        except (StoreAway, TimeoutError) as error:
            known = self._known.get(token_hash)
            if known is None or monotonic() - known[1] > REMEMBERED_SECONDS:
                raise StoreAway("the token cannot be looked up: the database is away") from error
            return known[0]
        self._known[token_hash] = caller, monotonic()  # only good tokens: no more of them than there are
        return caller

    async def _caller(self, token: str) -> Caller:
        token_hash = _hash(token)
        if self._admin_hash and hmac.compare_digest(token_hash, self._admin_hash):
            return Caller("admin", Scope.ADMIN)
        async with self._db.read() as conn:
            known = await tokens.by_hash(conn, token_hash)
        if known is None:
            raise Refused(401, "the bearer token is unknown or revoked; `drainwatch token create` makes a new one")
        if known.used_at is None or datetime.now(UTC) - known.used_at > tokens.USE_NOTED_EACH:
            async with self._db.begin() as conn:
                await tokens.note_use(conn, known.id)
        return Caller(known.name, Scope[known.scope.upper()], known.id, known.apps)


async def create(db: Database, *, name: str, scope: str, apps: Sequence[str] | None = None) -> tuple[Token, str]:
    """A new token and its text, which is known only now; bound to `apps` where those are given (names or globs).

    Raises Refused (400) for a wrong name, scope or app, and for an admin token that is to be bound.
    """
    if not re.fullmatch(NAME, name):
        expected = "1 to 100 characters without control characters, the first one no space"
        raise Refused(400, f"name is {name[:40]!r}; expected {expected}", parameter="name", expected=expected)
    if scope not in SCOPES:
        expected = "read, write or admin"
        raise Refused(400, f"scope is {scope[:40]!r}; expected {expected}", parameter="scope", expected=expected)
    if apps is not None:
        _check_apps(apps, scope)
    text = new_token()
    bound = None if apps is None else tuple(dict.fromkeys(apps))
    async with db.begin() as conn:
        return await tokens.create(conn, name=name, scope=scope, apps=bound, token_hash=_hash(text)), text


def _check_apps(apps: Sequence[str], scope: str) -> None:
    if scope == "admin":
        expected = "none with the scope admin, which reaches all apps: it makes tokens"
        raise Refused(400, f"apps are given; expected {expected}", parameter="apps", expected=expected)
    wrong = next((one for one in apps if not re.fullmatch(APPS, one)), None)
    if wrong is not None or not 1 <= len(apps) <= MOST_APPS:
        shown = f"has {wrong[:40]!r}" if wrong is not None else f"has {len(apps)} members"
        expected = f"1 to {MOST_APPS} names of apps, with * and ? as globs"
        raise Refused(400, f"apps {shown}; expected {expected}", parameter="apps", expected=expected)


async def listed(db: Database) -> list[Token]:
    """All valid tokens, oldest first."""
    async with db.read() as conn:
        return await tokens.listed(conn)


async def revoke(db: Database, token_id: int) -> None:
    """The token is refused from its next request on. Raises Refused (404) where there is no such token."""
    async with db.begin() as conn:
        if not await tokens.revoke(conn, token_id):
            raise Refused(404, f"there is no token {token_id}, or none any more")


def rate_headers(taken: Taken) -> dict[str, str]:
    """What an answer says of the limit: as draft-ietf-httpapi-ratelimit-headers has it, and as it had it before."""
    return {
        "RateLimit-Policy": f'"token";q={taken.limit};w=60',
        "RateLimit": f'"token";r={taken.left};t={taken.full_in}',
        "RateLimit-Limit": str(taken.limit),
        "RateLimit-Remaining": str(taken.left),
        "RateLimit-Reset": str(taken.full_in),
    }


def new_token() -> str:
    """A fresh token: `dw_` and 43 characters of base64url."""
    return PREFIX + secrets.token_urlsafe(32)


def kept_admin_token(home: Path) -> str | None:
    """The admin token that a start has left in `home`; None where there is none yet. Raises SettingError where it cannot
    be read."""
    path = home / ADMIN_TOKEN_FILE
    try:
        return path.read_text("ascii").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"{path} cannot be read ({_reason(error)}); expected an admin token for this user"
        ) from error


def ensure_admin_token(home: Path) -> tuple[str, bool]:
    """The admin token in `home`, and whether it was made just now; then `home` may be new too.

    Only the owner may read the file. Two starts at once agree on one token: the file appears whole, under its name, once.
    Raises SettingError where it cannot be written.
    """
    kept = kept_admin_token(home)
    if kept:
        return kept, False
    token, path = new_token(), home / ADMIN_TOKEN_FILE
    draft = home / f"{ADMIN_TOKEN_FILE}.{secrets.token_hex(8)}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return ensure_admin_token(home)
        finally:
            draft.unlink()
    except OSError as error:
        raise SettingError(
            f"DRAINWATCH_HOME is {str(home)!r}, where no admin token can be kept ({_reason(error)}); expected a folder "
            "that this user may write to, or a token in DRAINWATCH_ADMIN_TOKEN"
        ) from error
    return token, True


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise Refused(401, "there is no token; expected the header `Authorization: Bearer TOKEN`")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, "the Authorization header holds no bearer token; expected `Authorization: Bearer TOKEN`")
    return token.strip()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text"
