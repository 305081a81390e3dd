"""One HTTP/1.1 connection as Logplex keeps it: one request at a time, an answer read no further than its Content-Length.

Written by hand, for what a good client forgives is what a receiver must not do to Logplex: a chunked answer stays in the
socket and spoils the next; `Connection: close`, and a server that closes an idle connection, go unnoticed until the next
request fails.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from service.cli.logplex.request import Target

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n", re.IGNORECASE)
_SHOWN_BYTES = 200


class NoAnswer(Exception):
    """None in time, a broken connection, or something that is not HTTP; `str()` says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's status, and the begin of its text."""

    status: int
    text: str


class Connection:
    """An open connection to a drain."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, target: Target, *, limit_s: float) -> "Connection":
        """Connects: DNS, TCP and TLS within `limit_s`. Raises OSError (TimeoutError is one)."""
        tls = None
        if target.tls:
            import httpx

            tls = httpx.create_ssl_context()
        async with asyncio.timeout(limit_s):
            return cls(*await asyncio.open_connection(target.name, target.port, ssl=tls))

    async def ask(self, request: bytes, *, limit_s: float) -> Answer:
        """Sends `request` and reads the answer's status and headers within `limit_s`, then its body. Raises NoAnswer."""
        try:
            async with asyncio.timeout(limit_s):
                # Not waited for: who answers before all is read (413) is heard.
                self._writer.write(request)
                head = await self._reader.readuntil(b"\r\n\r\n")
            status, length = _STATUS.match(head), _LENGTH.search(head)
            if status is None:
                raise NoAnswer(f"not HTTP: {head[:40]!r}")
            async with asyncio.timeout(limit_s):
                text = await self._reader.readexactly(int(length[1])) if length else b""
        except TimeoutError as error:
            raise NoAnswer(f"none within {limit_s:g} s") from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise NoAnswer(type(error).__name__) from error
        return Answer(int(status[1]), text[:_SHOWN_BYTES].decode(errors="replace").strip())

    def close(self) -> None:
        """Closes it at once, whatever is under way."""
        with suppress(OSError, RuntimeError):
            self._writer.transport.abort()
