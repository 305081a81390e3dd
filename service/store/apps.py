"""Apps: whose log streams are kept."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import apps


@dataclass(frozen=True, slots=True)
class App:
    """An app as registered, and what it is used for (`production`, `staging`, …)."""

    id: int
    name: str
    environment: str


async def known(conn: AsyncConnection, *, name: str | None = None, environment: str | None = None) -> dict[int, App]:
    """The apps by id, those of that name and environment where one is given."""
    query = select(apps.c.id, apps.c.name, apps.c.environment)
    if name is not None:
        query = query.where(apps.c.name == name)
    if environment is not None:
        query = query.where(apps.c.environment == environment)
    return {row.id: App(row.id, row.name, row.environment) for row in await conn.execute(query)}


async def named(conn: AsyncConnection, name: str) -> App | None:
    """The app of that name; None where none of that name has a drain here."""
    return next(iter((await known(conn, name=name)).values()), None)


async def one(conn: AsyncConnection, app_id: int) -> App | None:
    """The app with that id."""
    query = select(apps.c.id, apps.c.name, apps.c.environment).where(apps.c.id == app_id)
    row = (await conn.execute(query)).one_or_none()
    return App(row.id, row.name, row.environment) if row else None


async def heard(conn: AsyncConnection, app_ids: Collection[int]) -> dict[int, datetime]:
    """When the last lines of each of these apps came; those never heard are left out."""
    rows = await conn.execute(_HEARD, {"apps": list(app_ids)})
    return {row.app_id: row.heard_at for row in rows}


_HEARD = text("""
    select app_id, max(heard_at) as heard_at from (
        select app_id, heard_at from clocks where app_id = any(:apps)
        union all
        select app_id, received_at from pending where app_id = any(:apps)
    ) as heard
    group by app_id""")


async def ensure(conn: AsyncConnection, *, name: str, environment: str) -> App:
    """The app of that name as it is, made with `environment` where there was none; also when two make it at once."""
    await conn.execute(insert(apps).values(name=name, environment=environment).on_conflict_do_nothing())
    return next(iter((await known(conn, name=name)).values()))


async def set_environment(conn: AsyncConnection, app_id: int, environment: str) -> None:
    """From now on the app counts as used for `environment`; what was found before stays as it was."""
    await conn.execute(update(apps).where(apps.c.id == app_id).values(environment=environment))
