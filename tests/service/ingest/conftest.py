"""The drain endpoint over a real socket, and what its tests post."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from door import APP, Door
from service.app import listen, serve_web
from service.ingest import drains
from service.settings import read_settings
from service.store.database import Database


@pytest.fixture
async def open_door(db: Database) -> AsyncIterator[Callable[..., Any]]:
    """A function that opens the endpoint on a free port, with settings of the environment as given."""
    stop = asyncio.Event()
    opened: list[tuple[asyncio.Task[None], httpx.AsyncClient]] = []

    async def open_(*, hold_s: float = 4.0, **environment: str) -> Door:
        settings = read_settings({"DATABASE_URL": "postgres://given/", **environment})
        settings = replace(
            settings,
            server=replace(settings.server, public_url="https://logs.example.com"),
            ingest=replace(settings.ingest, hold_s=hold_s),
        )
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        task = asyncio.create_task(serve_web(settings, db, stop, listening))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, verify=False, trust_env=False)
        opened.append((task, client))
        drain = await drains.add(
            db, app=APP, environment="production", logplex_token=None, public_url="https://logs.example.com"
        )
        await _until_open(port)
        return Door(f"http://127.0.0.1:{port}", client, drain.secret, db)

    yield open_
    stop.set()
    for task, client in opened:
        await client.aclose()
        await task


@pytest.fixture
async def door(open_door: Callable[..., Any]) -> Door:
    """The endpoint with its defaults."""
    opened: Door = await open_door()
    return opened


async def _until_open(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await asyncio.sleep(0.005)
