"""POST /drain: status codes, nothing else. What Logplex does with each is in the comments (heroku.md §1.4).

An ASGI application of its own: a frame needs no routing, no validation and no body model, and every microsecond is paid
thousands of times a second.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from parsers.frame import Frame, Reading, read_frame
from parsers.line import Origin
from service.errors import Refused, StoreAway
from service.ingest.admission import Admission
from service.ingest.authentication import Authentication
from service.ingest.group_commit import GroupCommit, Waiting
from service.store.drains import DrainCredentials
from service.store.frames import FrameKey

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTENT_TYPE = b"application/logplex-1"
# Bodies above this size are read in a thread: 2,000 lines take 5 ms, during which nobody else would be answered.
INLINE_BYTES = 512 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_body` in bytes; a request is answered within `hold_s` seconds, which Logplex gives it 5 s for."""

    max_body: int
    hold_s: float = 4.0


class DrainEndpoint:
    """The ASGI application behind POST /drain."""

    def __init__(
        self,
        authentication: Authentication,
        admission: Admission,
        group_commit: GroupCommit,
        reading: Reading,
        limits: Limits,
    ) -> None:
        self._authentication = authentication
        self._admission = admission
        self._group_commit = group_commit
        self._reading = reading
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request: 204 once everything in it is committed."""
        until = asyncio.get_running_loop().time() + self._limits.hold_s
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        try:
            async with asyncio.timeout_at(until):
                await self._keep(scope, headers, receive)
        except Refused as refused:
            await _answer(send, refused.status, refused.detail)
        except (TimeoutError, StoreAway):
            # Logplex keeps up to 1024 newer messages meanwhile and tries again; a quick 503 would burn its three tries.
            await _hold(until)
            await _answer(send, 503, "not stored within the time; send it again")
        except _ClientGone:
            return
        else:
            await send(_NO_CONTENT)
            await send(_EMPTY)

    async def _keep(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Returns when the request's frame is committed. Raises Refused for what Logplex need not send again."""
        if scope["method"] != "POST":
            raise Refused(405, f"{scope['method']} is not for /drain; expected POST")
        drain = await self._drain_of(headers)
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != CONTENT_TYPE:
            raise Refused(415, "Content-Type is not application/logplex-1, which Logplex sends")
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._limits.max_body:
            raise self._too_large()
        room = int(declared) if declared.isdigit() else self._limits.max_body
        await self._admission.enter(room)
        try:
            body = await self._body(receive)
            if not body:
                return
            frame = await self._read(body, drain)
            await self._group_commit.keep(_waiting(drain, frame, headers, body))
        finally:
            self._admission.leave(room)

    async def _drain_of(self, headers: dict[bytes, bytes]) -> DrainCredentials:
        authorization = headers.get(b"authorization")
        drain = await self._authentication.drain_of(authorization.decode("latin-1") if authorization else None)
        if drain is None:
            raise Refused(401, "no drain has these credentials; `drainwatch drain add APP` prints a URL that has")
        token = headers.get(b"logplex-drain-token", b"").decode("latin-1")
        if drain.logplex_token and token != drain.logplex_token:
            raise Refused(403, "this drain takes frames with the Logplex-Drain-Token that it is pinned to")
        return drain

    async def _body(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.max_body:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _read(self, body: bytes, drain: DrainCredentials) -> Frame:
        origin, now = Origin(drain.app, drain.environment), datetime.now(UTC)
        if len(body) < INLINE_BYTES:
            return read_frame(body, origin, now, self._reading)
        return await asyncio.to_thread(read_frame, body, origin, now, self._reading)

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is over {self._limits.max_body} bytes (DRAINWATCH_MAX_BODY)")


_WANTED = frozenset(
    (
        b"authorization",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"logplex-drain-token",
        b"logplex-frame-id",
        b"x-request-id",
    )
)


class _ClientGone(Exception):
    """The sender has closed the connection; nobody waits for an answer."""


def _waiting(drain: DrainCredentials, frame: Frame, headers: dict[bytes, bytes], body: bytes) -> Waiting:
    """The frame with its name: Logplex's frame id, else the request's id (Private Spaces), else what it holds."""
    for header in (b"logplex-frame-id", b"x-request-id"):
        if named := headers.get(header):
            name = header + b":" + named
            break
    else:
        name = b"body:" + hashlib.sha256(body).digest()
    head = FrameKey(drain.app_id, drain.id, _digest(name + b"\n" + frame.body[: frame.head])) if frame.head else None
    key = FrameKey(drain.app_id, drain.id, _digest(name))
    return Waiting(drain, frame, key, head, asyncio.get_running_loop().create_future())


def _digest(name: bytes) -> UUID:
    return UUID(bytes=hashlib.blake2b(name, digest_size=16).digest())


async def _hold(until: float) -> None:
    remaining = until - asyncio.get_running_loop().time()
    if remaining > 0:
        await asyncio.sleep(remaining)


async def _answer(send: Send, status: int, detail: str) -> None:
    body = f"{detail}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="drainwatch", charset="UTF-8"'))
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_NO_CONTENT = {"type": "http.response.start", "status": 204, "headers": []}
_EMPTY = {"type": "http.response.body", "body": b""}
