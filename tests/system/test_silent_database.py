"""A database that is gone without a word: it is there, takes what it is sent, and says nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from processes import free_port, service
from service.store import schema
from service.store.embedded import EmbeddedPostgres


class Wire:
    """A port in front of a Postgres, which can be made to pass nothing on."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inner = await asyncio.open_unix_connection(self._socket)
            await asyncio.gather(self._pass_on(reader, inner[1]), self._pass_on(inner[0], writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
            await self.open.wait()
            writer.close()


@asynccontextmanager
async def wired(folder: Path) -> AsyncIterator[tuple[Wire, str]]:
    """A migrated database behind a Wire, and its URL there."""
    postgres = EmbeddedPostgres(folder / "far")
    url = await postgres.start()
    try:
        await schema.migrate(url)
        parts = urlsplit(url)
        wire, port = Wire(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"), free_port()
        server = await asyncio.start_server(wire.serve, "127.0.0.1", port)
        async with server:
            yield wire, f"postgresql://{parts.netloc}127.0.0.1:{port}{parts.path}"
            wire.open.set()
    finally:
        await postgres.stop()


async def test_sigterm_ends_a_process_whose_database_says_nothing(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir()
    async with wired(open_folder) as (wire, url), service("serve", home=home, DATABASE_URL=url) as one:
        one.start()
        await one.ready()
        wire.open.clear()
        await asyncio.sleep(1)
        assert await one.end(seconds=20) == 0
