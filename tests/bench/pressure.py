"""Frames pressed into a drain from a process of their own, as fast as they are taken or at a rate.

Not by the sender of `service/cli/logplex`: with its buffers and tries it would cost as much of the machine as what is measured.
"""

import asyncio
import base64
import time
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import cast

import uvloop
from traffic import bodies, lines

_BODIES = 64  # that many different ones, sent again and again under new ids
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is pressed: bodies of `per_body` lines over `connections`, each with one request in flight, for `seconds`; at
    `lines_per_second` in all, or without a pause between an answer and the next request (None)."""

    port: int
    app: str
    secret: str
    seconds: float
    per_body: int = 100
    connections: int = 32
    lines_per_second: float | None = None


@dataclass(slots=True)
class Pressed:
    """What came of it: answers by status (0: none), the time of each 204 in seconds, and how long it went on."""

    per_body: int
    statuses: dict[int, int] = field(default_factory=dict)
    answer_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def lines_per_second(self) -> float:
        """How many lines were acknowledged per second."""
        return self.statuses.get(204, 0) * self.per_body / self.seconds


async def press(pressure: Pressure) -> Pressed:
    """Does it in another process, so that whoever measures here is not held up. May be cancelled."""
    here, there = Pipe(duplex=False)
    process = get_context("spawn").Process(target=_press, args=(pressure, there))
    process.start()
    there.close()
    try:
        return cast(Pressed, await asyncio.to_thread(here.recv))
    finally:
        process.kill()
        process.join()


def _press(pressure: Pressure, there: Connection) -> None:
    there.send(uvloop.run(_all(pressure)))


async def _all(pressure: Pressure) -> Pressed:
    made = bodies(list(lines(_BODIES * pressure.per_body)), pressure.per_body)
    pressed = Pressed(pressure.per_body)
    began = time.perf_counter()
    tags = range(pressure.connections)
    await asyncio.gather(*(_one(pressure, pressed, made, began, number) for number in tags))
    pressed.seconds = time.perf_counter() - began
    return pressed


async def _one(pressure: Pressure, pressed: Pressed, made: list[bytes], began: float, number: int) -> None:
    """One connection, opened again where it breaks; its requests begin in their turn among those of the others."""
    pause = pressure.per_body * pressure.connections / pressure.lines_per_second if pressure.lines_per_second else 0.0
    due, sent, connection = began + pause * number / pressure.connections, 0, _Socket()
    while (now := time.perf_counter()) < began + pressure.seconds:
        if due > now:
            await asyncio.sleep(due - now)
        due = max(due + pause, time.perf_counter() - pause)
        sent += 1
        asked = time.perf_counter()
        status = await connection.ask(pressure, f"{number}-{sent}-{began}", made[(number + sent) % len(made)])
        pressed.statuses[status] = pressed.statuses.get(status, 0) + 1
        if status == 204:
            pressed.answer_s.append(time.perf_counter() - asked)
    connection.close()


class _Socket(asyncio.Protocol):
    """Reads an answer's status; its text, which comes in a segment of its own, is passed over."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[int] | None = None

    async def ask(self, pressure: Pressure, frame_id: str, body: bytes) -> int:
        """Posts `body`; the answer's status, 0 where none comes."""
        loop = asyncio.get_running_loop()
        try:
            if self._transport is None:
                await loop.create_connection(lambda: self, "127.0.0.1", pressure.port)
            assert self._transport is not None
            self._answered = loop.create_future()
            self._transport.write(_head(pressure, frame_id, len(body)) + body)
            return await asyncio.wait_for(self._answered, _ANSWER_SECONDS)
        except (OSError, TimeoutError):
            self.close()
            return 0

    def close(self) -> None:
        """Closes it, if it is open."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        if self._answered is not None and not self._answered.done() and data.startswith(b"HTTP/1.1 "):
            self._answered.set_result(int(data[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError())


def _head(pressure: Pressure, frame_id: str, size: int) -> bytes:
    authorization = base64.b64encode(f"{pressure.app}:{pressure.secret}".encode()).decode()
    return (
        f"POST /drain HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {authorization}\r\n"
        f"Content-Type: application/logplex-1\r\nLogplex-Frame-Id: {frame_id}\r\nUser-Agent: Logplex/v72\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode()
