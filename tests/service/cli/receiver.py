"""A receiver on a real socket that answers as it is told to, and remembers what it got."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Got:
    """One request: its headers in the order they came, and its body."""

    request: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name.lower())


@dataclass(slots=True)
class Receiver:
    """`url` is its drain; `got` all requests so far; `connections` how many there were."""

    url: str
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    def hang_up(self) -> None:
        """Closes all connections from this side."""
        for writer in self._open:
            writer.close()


# A status, 0 for ending the connection without an answer; an answer as it stands; None for none at all.
Said = int | bytes | None


@asynccontextmanager
async def receiver(answers: Sequence[Said] = ()) -> AsyncIterator[Receiver]:
    """Answers with `answers` in turn, then with 204."""
    left = list(answers)
    here = Receiver("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        here._open.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = [(name, value) for name, _, value in (line.partition(": ") for line in head[1:-2])]
                got = Got(head[0], headers, b"")
                got.body = await reader.readexactly(int(got.header("content-length")))
                here.got.append(got)
                said = left.pop(0) if left else 204
                if said == 0:
                    break
                if isinstance(said, int):
                    said = b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % said
                writer.write(said or b"")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        here.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/drain"
        try:
            yield here
        finally:
            here.hang_up()
