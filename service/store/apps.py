"""Apps: whose log streams are kept."""

from dataclasses import dataclass

from sqlalchemy import select, update
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


async def ensure(conn: AsyncConnection, *, name: str, environment: str) -> App:
    """The app of that name as it is, made with `environment` where there was none; also when two make it at once."""
    await conn.execute(insert(apps).values(name=name, environment=environment).on_conflict_do_nothing())
    return next(iter((await known(conn, name=name)).values()))


async def set_environment(conn: AsyncConnection, app_id: int, environment: str) -> None:
    """From now on the app counts as used for `environment`; what was found before stays as it was."""
    await conn.execute(update(apps).where(apps.c.id == app_id).values(environment=environment))
