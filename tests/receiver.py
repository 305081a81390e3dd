"""A small HTTP receiver on a real socket that records what it is sent and answers as it is told to."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

# Writes an answer, or does what a receiver should not do.
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Script:
    """An ordinary answer."""

    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} As told", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return write


async def reset(writer: asyncio.StreamWriter) -> None:
    """Breaks the connection instead of answering."""
    # With no time to linger, closing sends RST.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


def slowly(seconds: float, then: Script) -> Script:
    """Answers like `then`, but after so long."""

    async def write(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(writer)

    return write


def held_until(released: asyncio.Event) -> Script:
    """Answers 204, but not before `released` is set."""

    async def write(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await answer(204)(writer)

    return write


async def silence_after_status(writer: asyncio.StreamWriter) -> None:
    """Promises a body and never sends it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    await asyncio.Event().wait()


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """Answers something that is not HTTP."""
    writer.write(b"220 mail.example.com ESMTP\r\n")


@dataclass(frozen=True)
class Received:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Listens on 127.0.0.1 from `async with` on. The n-th request gets the n-th of `script`, later ones the last of it."""

    script: Sequence[Script] = (answer(204),)
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    port: int = 0
    _server: Any = None
    _open: set[Any] = field(default_factory=set)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def received(self, count: int, *, within: float = 60.0) -> list[Received]:
        """The requests, once there are `count` of them."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:
                self._came.clear()
                await self._came.wait()
        return self.requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(asyncio.current_task())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":  # TLS spoken to a receiver without
                return await self.script[0](writer)
            request, *lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = request.split(" ")
            self.requests.append(Received(method, path, headers, body))
            self._came.set()
            await self.script[min(len(self.requests), len(self.script)) - 1](writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.under_way -= 1
            writer.close()
            self._open.discard(asyncio.current_task())
