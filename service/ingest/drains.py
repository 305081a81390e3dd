"""Drains: add, list, change, rotate, remove. What comes out of adding is a line to type, `heroku drains:add …`.

The secret goes into a URL's userinfo, which Logplex splits at every colon and may or may not decode: letters, digits, `-`
and `_` alone are safe there (heroku.md 1.1, Basic auth quirk).
"""

import hashlib
import re
import secrets
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from service.errors import Refused
from service.store import apps, drains
from service.store.database import Database
from service.store.drains import Drain

# After a rotation the old secret serves for as long as it may take to run `heroku drains:add` for every app.
OLD_SECRET_SERVES = timedelta(hours=24)
# It is a Basic user name and the subject of globs. Wider than Heroku's own rule, since an app may be registered by another
# name; not so wide that `Raxx-API` and `raxx-api` could both exist.
APP_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
# Rules ask for `production` to the letter, so `Production` must not pass for it.
ENVIRONMENT = r"^[a-z0-9][a-z0-9_-]{0,31}$"
LOGPLEX_TOKEN = r"^[!-~]{1,100}$"  # noqa: S105

_EXPECTED_APP = "an app's name: 1 to 63 lower-case letters, digits, - or _, as in raxx-api-prod"
_EXPECTED_ENVIRONMENT = "1 to 32 lower-case letters, digits, - or _, as in production or staging"
_EXPECTED_TOKEN = "the drain's token as `heroku drains` shows it (d.…), or null"  # noqa: S105


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A drain and its secret, which is known only now; `url` holds it, `command` tells Heroku of it."""

    drain: Drain
    secret: str
    url: str
    command: str


async def add(db: Database, *, app: str, environment: str, logplex_token: str | None, public_url: str) -> NewSecret:
    """A new drain for `app`, which is registered with its first one.

    Raises Refused: 400 for a value that cannot be, 409 where the app is registered for another environment.
    """
    _check("app", app, APP_NAME, _EXPECTED_APP)
    _check("environment", environment, ENVIRONMENT, _EXPECTED_ENVIRONMENT)
    _check_token(logplex_token)
    secret = new_secret()
    async with db.begin() as conn:
        known = await apps.ensure(conn, name=app, environment=environment)
        if known.environment != environment:
            raise Refused(
                409,
                f"{app} is registered for {known.environment}, not {environment}; add the drain with {known.environment}, "
                "or change the environment of the drain it has (PATCH /v1/drains/ID) first",
                parameter="environment",
                expected=known.environment,
            )
        drain = await drains.add(conn, app_id=known.id, secret_hash=secret_hash(secret), logplex_token=logplex_token)
    return _new_secret(drain, secret, public_url)


async def listed(db: Database) -> list[Drain]:
    """All drains that are not removed, oldest first."""
    async with db.read() as conn:
        return await drains.listed(conn)


async def one(db: Database, drain_id: int) -> Drain:
    """That drain. Raises Refused (404) where there is none."""
    async with db.read() as conn:
        return _found(await drains.one(conn, drain_id), drain_id)


async def change(
    db: Database, drain_id: int, *, environment: str | None, logplex_token: str | None, pin: bool
) -> Drain:
    """The drain with another environment, which is its app's and so its other drains' too (None: as it is), and, where
    `pin`, with `logplex_token` as the only one it takes (None: any). Raises Refused, 400 or 404."""
    if environment is not None:
        _check("environment", environment, ENVIRONMENT, _EXPECTED_ENVIRONMENT)
    _check_token(logplex_token)
    async with db.begin() as conn:
        drain = _found(await drains.one(conn, drain_id), drain_id)
        if environment is not None:
            await apps.set_environment(conn, drain.app_id, environment)
        if pin:
            await drains.pin_token(conn, drain_id, logplex_token)
        return _found(await drains.one(conn, drain_id), drain_id)


async def rotate(db: Database, drain_id: int, *, public_url: str) -> NewSecret:
    """The drain with a new secret; the one before serves for 24 h more. Raises Refused (404) where there is no such drain."""
    secret = new_secret()
    async with db.begin() as conn:
        until = datetime.now(UTC) + OLD_SECRET_SERVES
        await drains.replace_secret(conn, drain_id, secret_hash=secret_hash(secret), previous_until=until)
        drain = _found(await drains.one(conn, drain_id), drain_id)
    return _new_secret(drain, secret, public_url)


async def remove(db: Database, drain_id: int) -> None:
    """The drain may not post any more; what it brought stays. Raises Refused (404) where there is no such drain."""
    async with db.begin() as conn:
        if not await drains.remove(conn, drain_id):
            _found(None, drain_id)


def new_secret() -> str:
    """32 characters of letters, digits, `-` and `_`: 192 random bits."""
    return secrets.token_urlsafe(24)


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _new_secret(drain: Drain, secret: str, public_url: str) -> NewSecret:
    parts = urlsplit(public_url)
    url = f"{parts.scheme}://{drain.app}:{secret}@{parts.netloc}{parts.path.rstrip('/')}/drain"
    return NewSecret(drain, secret, url, f"heroku drains:add {shlex.quote(url)} -a {drain.app}")


def _found(drain: Drain | None, drain_id: int) -> Drain:
    if drain is None:
        raise Refused(404, f"there is no drain {drain_id}, or none any more")
    return drain


def _check_token(value: str | None) -> None:
    if value is not None:
        _check("logplex_token", value, LOGPLEX_TOKEN, _EXPECTED_TOKEN)


def _check(parameter: str, value: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, value):
        raise Refused(
            400, f"{parameter} is {value[:80]!r}; expected {expected}", parameter=parameter, expected=expected
        )
