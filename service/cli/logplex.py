"""Posts as Logplex does: what it puts into a request, and what it makes of each answer (heroku.md §1).

A node of Logplex has one request in flight. What gathers meanwhile goes into the next frame, up to 100 KiB. A frame has
three tries, all with one frame id. A 4xx drops it at once; a connection that cannot be made costs no try. What was lost
is announced by an L10 line at the head of the next frame.
"""

import asyncio
import base64
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from parsers.octet_counting import octet_counted
from service.errors import DrainwatchError

TARGET_BYTES = 102_400  # `http_drain_target_bytes`
MOST_MESSAGES = 1024  # what a node's buffer holds
TRIES = 3
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 3.0
USER_AGENT = "Logplex/v72"


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands in a body: a message with its octet count, or bytes that are none. `at` is its own time, if it has one."""

    wire: bytes
    at: datetime | None
    is_message: bool = True


@dataclass(slots=True)
class Tally:
    """What became of all that a node was given, so far. `repeats`: tries after the first."""

    frames: int = 0
    messages: int = 0
    repeats: int = 0
    lost_messages: int = 0
    last_refusal: str = ""


class Node:
    """One node of Logplex that drains one app's messages to one URL.

    `url` ends in `/drain` and has no credentials in it. Logplex waits for a receiver without limit; `patience_s` is for how
    long this one does before it gives up with DrainwatchError.
    """

    def __init__(
        self, url: str, *, app: str, secret: str, drain_token: str | None = None, patience_s: float = 30.0
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host = parts.netloc
        self._authorization = "Basic " + base64.b64encode(f"{app}:{secret}".encode()).decode()
        self._drain_token = drain_token or f"d.{uuid4()}"
        self._patience_s = patience_s
        self._lost = 0
        self._lost_since = datetime.now(UTC)
        self._http = self._connection()
        self.tally = Tally()

    async def close(self) -> None:
        """Closes the connection."""
        await self._http.aclose()

    async def post(self, pieces: Sequence[Piece]) -> bool:
        """Sends one frame, as often as Logplex would; whether it was taken."""
        frame_id = secrets.token_hex(16).upper()
        messages = sum(piece.is_message for piece in pieces)
        body = b"".join(piece.wire for piece in pieces)
        taken = False
        for number in range(TRIES):
            self.tally.repeats += number > 0
            status = await self._try(frame_id, messages, body)
            taken = 200 <= status <= 299
            if taken or (400 <= status <= 499 and status != httpx.codes.TOO_MANY_REQUESTS):
                break
            await self._reconnect()
        if taken:
            self._lost = 0
            self.tally.frames += 1
            self.tally.messages += messages
        else:
            if not self._lost:
                self._lost_since = datetime.now(UTC)
            self._lost += messages
            self.tally.lost_messages += messages
        return taken

    async def _try(self, frame_id: str, messages: int, body: bytes) -> int:
        """The answer's status; 0 where none came in time. The L10 line is made anew with each try."""
        if self._lost:
            messages, body = messages + 1, octet_counted(self._loss_line()) + body
        headers = {
            "Host": self._host,
            "Authorization": self._authorization,
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(messages),
            "Logplex-Frame-Id": frame_id,
            "Logplex-Drain-Token": self._drain_token,
            "User-Agent": USER_AGENT,
            "Content-Length": str(len(body)),
        }
        give_up_at, attempt = monotonic() + self._patience_s, 0
        while True:
            try:
                # Sent as it is: a client's `post` would add headers of its own.
                answer = await self._http.send(httpx.Request("POST", self._url, headers=headers, content=body))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if monotonic() > give_up_at:
                    reason = f"cannot connect for {self._patience_s:.0f} s"
                    raise DrainwatchError(
                        f"nothing answers at {self._url} ({reason}); is drainwatch running?"
                    ) from error
                attempt += 1
                await asyncio.sleep(delay_s(attempt, random.random()))  # noqa: S311
            except httpx.HTTPError as error:
                self.tally.last_refusal = f"no answer ({type(error).__name__})"
                return 0
            else:
                self.tally.last_refusal = (
                    "" if answer.is_success else f"{answer.status_code} {answer.text[:200].strip()}"
                )
                return answer.status_code

    async def _reconnect(self) -> None:
        await self._http.aclose()
        self._http = self._connection()

    def _loss_line(self) -> bytes:
        now, since = stamp(datetime.now(UTC)), stamp(self._lost_since)
        text = f"Error L10 (output buffer overflow): {self._lost} messages dropped since {since}."
        return f"<172>1 {now} host heroku logplex - {text}".encode()

    @staticmethod
    def _connection() -> httpx.AsyncClient:
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=144)
        return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)


def take_frame(pieces: Sequence[Piece], start: int) -> int:
    """The end of the frame that begins at `start`: as many pieces as fit, and one at least."""
    size, end = 0, start
    while end < len(pieces) and end - start < MOST_MESSAGES:
        size += len(pieces[end].wire)
        if size > TARGET_BYTES and end > start:
            break
        end += 1
    return end


def delay_s(attempt: int, chance: float) -> float:
    """Seconds to wait before connecting again: 10 ms × ⌊(2^u − 1) / 2⌋, u from 1 to min(10, attempt), as `chance` in [0, 1)
    has it."""
    u = 1 + int(chance * min(10, attempt))
    return 0.01 * ((1 << u) - 1 >> 1)


def stamp(at: datetime) -> str:
    """A time as Logplex writes it: microseconds with trailing zeros removed, and `+00:00`."""
    whole, _, fraction = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds").partition(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}+00:00" if digits else f"{whole}+00:00"
