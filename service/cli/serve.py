"""serve, web, worker, migrate: the processes."""

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer()


@app.command()
def serve() -> None:
    """Run web and worker in one process, on DATABASE_URL or an embedded Postgres."""
    import uvloop

    from service.app import run

    uvloop.run(run(with_admin_token(), web=True, worker=True, migrate=True))


@app.command()
def web() -> None:
    """Run one web process: the drain and the API."""
    _run(web=True, worker=False)


@app.command()
def worker() -> None:
    """Run one worker process: incidents and webhooks."""
    _run(web=False, worker=True)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from service.app import database, ready
    from service.store import schema

    settings = _settings()

    async def bring() -> None:
        async with database(settings) as db:
            await ready(db, migrate=True)

    asyncio.run(bring())
    typer.echo(f"the database is at revision {schema.head()}")


def with_admin_token() -> "Settings":
    """The settings in force, with an admin token: the one that is set, or the home's own, made and shown at the first start."""
    from service.access import ADMIN_TOKEN_FILE, ensure_admin_token

    settings = _settings()
    if settings.admin_token is not None:
        return settings
    home = settings.database.home
    token, made = ensure_admin_token(home)
    if made:
        typer.echo(f"admin token, shown only now and kept in {home / ADMIN_TOKEN_FILE}: {token}")
    return replace(settings, admin_token=token)


def _run(*, web: bool, worker: bool) -> None:
    import uvloop

    from service.app import run

    uvloop.run(run(_settings(), web=web, worker=worker, migrate=False))


def _settings() -> "Settings":
    """The settings in force; from now on the log is as chatty as they say."""
    from service.log import start_logging
    from service.settings import read_settings

    settings = read_settings(os.environ)
    start_logging(settings.log_level)
    return settings
