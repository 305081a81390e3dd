"""What stands before several web processes: shares connections out among their ports; bytes go through as they are."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Any


class Balancer:
    """Listens on 127.0.0.1 from `async with` on. Ports take turns; one where nobody listens is passed over."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._turn = cycle(range(len(ports)))
        self._server: Any = None
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with suppress(OSError, asyncio.CancelledError):
            inner_reader, inner_writer = await self._connect()
            # Whichever side closes, both are closed.
            pumps = [asyncio.create_task(_pump(reader, inner_writer)), asyncio.create_task(_pump(inner_reader, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                inner_writer.close()
        writer.close()
        self._open.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        begin = next(self._turn)
        for number in range(len(self._ports)):
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", self._ports[(begin + number) % len(self._ports)])
        raise ConnectionRefusedError("nobody listens on any of the ports")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
