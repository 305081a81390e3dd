"""A gate before a real Postgres: shut, nobody reaches it; deaf, it hears and does not answer; open, all is as without it."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

_SOCKET = ".s.PGSQL.5432"


class Gate:
    """`url` leads through the gate to the database behind it."""

    def __init__(self, behind: str, folder: Path) -> None:
        parts = urlsplit(behind)
        self._behind = Path(unquote(parse_qs(parts.query)["host"][0])) / _SOCKET
        self._path = folder / _SOCKET
        self.url = f"postgresql://{parts.netloc}{parts.path}?host={quote(str(folder), safe='/')}"
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._answers = asyncio.Event()
        self._answers.set()

    async def open(self) -> None:
        """From now on whoever comes is let through."""
        self._answers.set()
        self._server = await asyncio.start_unix_server(self._let_through, self._path)

    def shut(self) -> None:
        """Cuts every connection, and refuses new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        self._answers.set()

    def deafen(self) -> None:
        """What is asked arrives; what is answered does not."""
        self._answers.clear()

    def undeafen(self) -> None:
        """What was not answered is."""
        self._answers.set()

    async def _let_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            to_server = await asyncio.open_unix_connection(self._behind)
        except OSError:
            writer.close()
            return
        self._open.add(to_server[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(reader, to_server[1], None))
            group.create_task(self._carry(to_server[0], writer, self._answers))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event | None
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                if may_pass is not None:
                    await may_pass.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self._open.discard(writer)


@asynccontextmanager
async def gate_before(behind: str) -> AsyncIterator[Gate]:
    """An open gate before the database at that URL."""
    folder = Path(tempfile.mkdtemp(prefix="dw-gate-", dir="/tmp"))  # short, as a socket's path must be
    gate = Gate(behind, folder)
    await gate.open()
    try:
        yield gate
    finally:
        gate.shut()
        shutil.rmtree(folder, ignore_errors=True)
