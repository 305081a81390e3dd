"""API tokens, as hashes; a revoked one keeps its row, since it tells who could once do what."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import tokens
from service.store.wakeups import PENDING

# A token's last use is written down once a minute, not with each of its requests.
USE_NOTED_EACH = timedelta(minutes=1)

_COLUMNS = (tokens.c.id, tokens.c.name, tokens.c.scope, tokens.c.created_at, tokens.c.used_at, tokens.c.apps)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as people see it. `used_at` is exact to a minute; None: never used. `apps` are globs; None: it reaches all."""

    id: int
    name: str
    scope: str
    created_at: datetime
    used_at: datetime | None
    apps: tuple[str, ...] | None


async def create(
    conn: AsyncConnection, *, name: str, scope: str, apps: Sequence[str] | None, token_hash: bytes
) -> Token:
    """A new token."""
    bound = None if apps is None else list(apps)
    values = {"name": name, "scope": scope, "apps": bound, "token_hash": token_hash}
    return _token((await conn.execute(insert(tokens).values(values).returning(*_COLUMNS))).one())


async def by_hash(conn: AsyncConnection, token_hash: bytes) -> Token | None:
    """The token with that hash; None where there is none, or none any more."""
    query = select(*_COLUMNS).where(tokens.c.token_hash == token_hash, tokens.c.revoked_at.is_(None))
    row = (await conn.execute(query)).one_or_none()
    return _token(row) if row else None


async def note_use(conn: AsyncConnection, token_id: int) -> None:
    """The token was used just now."""
    stale = or_(tokens.c.used_at.is_(None), tokens.c.used_at < func.now() - USE_NOTED_EACH)
    await conn.execute(update(tokens).where(tokens.c.id == token_id, stale).values(used_at=func.now()))


async def listed(conn: AsyncConnection) -> list[Token]:
    """All tokens that are valid, oldest first."""
    query = select(*_COLUMNS).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.id)
    return [_token(row) for row in await conn.execute(query)]


async def revoke(conn: AsyncConnection, token_id: int) -> bool:
    """The token is valid no more, and its streams are about to end in every process. False where there was no such token."""
    # Whoever follows what arrives looks at the tokens of its streams, too.
    await conn.execute(text("select pg_notify(:channel, '')"), {"channel": PENDING})
    revoked = await conn.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    return revoked.rowcount == 1


async def revoked(conn: AsyncConnection, ids: Collection[int]) -> frozenset[int]:
    """Those of some tokens that are valid no more."""
    query = select(tokens.c.id).where(tokens.c.id.in_(ids), tokens.c.revoked_at.is_not(None))
    return frozenset((await conn.execute(query)).scalars())


def _token(row: Any) -> Token:
    apps = None if row.apps is None else tuple(row.apps)
    return Token(row.id, row.name, row.scope, row.created_at, row.used_at, apps)
