"""POST /drain: status codes, nothing else. What Logplex does with each is in the comments (heroku.md §1.4).

An ASGI application of its own: a frame needs no routing, no validation and no body model, and every microsecond is paid
thousands of times a second.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from parsers.frame import Reading
from parsers.octet_counting import Damage
from service import metrics
from service.errors import Refused, StoreAway
from service.ingest.admission import Admission
from service.ingest.authentication import Authentication
from service.ingest.group_commit import Waiting
from service.ingest.hold import Hold
from service.ingest.inflate import NotGzip, TooLarge, inflate
from service.ingest.posted import Named, Posted
from service.ingest.tallies import Tallies
from service.store.drains import DrainCredentials

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
# Told whether a frame is stored.
Over = Callable[[bool], None]

CONTENT_TYPE = b"application/logplex-1"
# Bodies above this size are read in a thread: 2,000 lines take 5 ms, during which nobody else would be answered.
INLINE_BYTES = 512 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_body` in bytes; a request is answered within `hold_s` seconds, which Logplex gives it 5 s for."""

    max_body: int
    hold_s: float = 4.0


class Keeping(Protocol):
    """Who keeps frames."""

    async def keep(self, waiting: Waiting) -> None:
        """Returns when the frame is stored; may be cancelled, and raise StoreAway."""

    def put(self, waiting: Waiting) -> bool:
        """Takes a frame that can wait for its commit as things are; `waiting.done` tells of it."""

    def take_back(self, waiting: Waiting) -> None:
        """A frame that was put has waited too long, and may be stored or not."""


class DrainEndpoint:
    """The ASGI application behind POST /drain."""

    def __init__(
        self,
        authentication: Authentication,
        admission: Admission,
        keeping: Keeping,
        reading: Reading,
        limits: Limits,
        tallies: Tallies,
    ) -> None:
        self._authentication = authentication
        self._admission = admission
        self._keeping = keeping
        self._reading = reading
        self._limits = limits
        self._hold = Hold(limits.hold_s)
        # What goes the short way has half of the time there, many times what a commit takes, and what is left on the whole way.
        self._short_hold = Hold(limits.hold_s / 2)
        self._tallies = tallies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request: 204 once everything in it is committed."""
        now = asyncio.get_running_loop().time
        began: float = scope.get(_BEGAN) or now()
        headers = dict(scope["headers"])
        try:
            if _BEGAN in scope:  # few, each with its own time left
                async with asyncio.timeout_at(began + self._limits.hold_s):
                    await self._keep(scope, headers, receive)
            else:
                with self._hold.begin():
                    await self._keep(scope, headers, receive)
        except Refused as refused:
            self._note(scope, refused.status, now() - began)
            await _answer(send, refused.status, refused.detail)
        except (TimeoutError, StoreAway):
            # Logplex keeps up to 1024 newer messages meanwhile and tries again; a quick 503 would burn its three tries.
            await asyncio.sleep(began + self._limits.hold_s - now())
            self._note(scope, 503, now() - began)
            await _answer(send, 503, "not stored within the time; send it again")
        except _ClientGone:
            return
        else:
            self._note(scope, 204, now() - began)
            await send(_NO_CONTENT)
            await send(_EMPTY)

    def take(self, scope: Scope, body: bytes, over: Over) -> bool:
        """Takes the frame of a POST with this body, if it is of the usual kind and can wait for its commit at once; `over` is
        told later whether it is stored, and to be answered with 204. Else, and for all others, it is `__call__`'s."""
        headers = dict(scope["headers"])
        size = len(body)
        if (
            headers.get(b"content-type") != CONTENT_TYPE
            or b"content-encoding" in headers
            or not 0 < size < INLINE_BYTES
            or size > self._limits.max_body
        ):
            return False
        drain = self._authentication.proved(headers.get(b"authorization", b""))
        if drain is None or not _is_pinned_to(drain, headers) or not self._admission.enters(size):
            return False
        loop = asyncio.get_running_loop()
        posted = Posted(drain, body, _name(headers, body), datetime.now(UTC), headers.get(b"logplex-msg-count"))
        taken = _Taken(posted, self._keeping, self._short_hold.seconds, loop)

        def is_over(done: "asyncio.Future[None]") -> None:
            self._short_hold.leave(taken)
            self._admission.leave(size)
            stored = not done.cancelled() and done.exception() is None
            if stored:
                metrics.ANSWERS.note(204, loop.time() - taken.began)
            over(stored)

        if not self._keeping.put(taken.waiting):
            self._admission.leave(size)
            return False
        taken.waiting.done.add_done_callback(is_over)
        self._short_hold.enter(taken)
        scope[_BEGAN] = taken.began
        self._tallies.heard(drain, headers, posted.received_at)
        return True

    async def _keep(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Returns when the request's frame is committed. Raises Refused for what Logplex need not send again."""
        if scope["method"] != "POST":
            raise Refused(405, f"{scope['method']} is not for /drain; expected POST")
        drain = await self._drain_of(scope, headers)
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != CONTENT_TYPE:
            raise Refused(415, "Content-Type is not application/logplex-1, which Logplex sends")
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._limits.max_body:
            raise self._too_large()
        encoding = headers.get(b"content-encoding")
        zipped = encoding is not None and _is_zipped(encoding)
        room = int(declared) if declared.isdigit() else self._limits.max_body
        if zipped:
            room += self._limits.max_body
        await self._admission.enter(room)
        try:
            body = await self._body(receive)
            if not body:
                return
            posted = Posted(drain, body, _name(headers, body), datetime.now(UTC), headers.get(b"logplex-msg-count"))
            self._tallies.heard(drain, headers, posted.received_at)
            frame: Posted | Named = posted
            if zipped:  # never sent by Logplex, and a few bytes may become many
                frame = await asyncio.to_thread(self._unzipped, posted)
                metrics.GZIPPED.inc()
                held = min(room, len(body) + frame.size)  # now it is known how much that is
                self._admission.leave(room - held)
                room = held
            elif len(body) >= INLINE_BYTES:
                frame = await asyncio.to_thread(posted.read, self._reading)
            await self._keeping.keep(Waiting(frame, asyncio.get_running_loop().create_future()))
        finally:
            self._admission.leave(room)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts an answer, and against its drain, where that is known, one that costs it lines."""
        metrics.ANSWERS.note(status, seconds)
        if status != 204 and _DRAIN in scope:
            self._tallies.refused(scope[_DRAIN], status)

    async def _drain_of(self, scope: Scope, headers: dict[bytes, bytes]) -> DrainCredentials:
        authorization = headers.get(b"authorization")
        said = authorization.decode("latin-1") if authorization else None
        drain = await self._authentication.drain_of(said)
        if drain is None:
            self._tallies.refused_secret(self._authentication.app_of(said))
            raise Refused(401, "no drain has these credentials; `drainwatch drain add APP` prints a URL that has")
        scope[_DRAIN] = drain
        if not _is_pinned_to(drain, headers):
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

    def _unzipped(self, posted: Posted) -> Named:
        """The frame in a gzip body; one that cannot be inflated is damage as a whole, as it was sent."""
        try:
            inflated = inflate(posted.body, most=self._limits.max_body)
        except TooLarge:
            raise self._too_large() from None
        except NotGzip as error:
            damage = Damage(0, self._reading.redaction.masked(posted.body), str(error))
            return posted.named(replace(replace(posted, body=b"").read(self._reading).frame, damage=(damage,)))
        return replace(posted, body=inflated).read(self._reading)

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is over {self._limits.max_body} bytes (DRAINWATCH_MAX_BODY)")


_DRAIN = "drainwatch.drain"  # where a request's scope holds its drain, once that is known
_BEGAN = "drainwatch.began"  # and when it began to go the short way, if it did


class _Taken:
    """A frame on its short way."""

    __slots__ = ("_keeping", "began", "loop", "until", "waiting")

    def __init__(self, posted: Posted, keeping: Keeping, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._keeping = keeping
        self.loop = loop
        self.began = loop.time()
        self.until = self.began + seconds
        self.waiting = Waiting(posted, loop.create_future())

    def give_up(self) -> None:
        """It has waited too long."""
        if not self.waiting.done.done():
            self._keeping.take_back(self.waiting)


class _ClientGone(Exception):
    """The sender has closed the connection; nobody waits for an answer."""


def _is_pinned_to(drain: DrainCredentials, headers: dict[bytes, bytes]) -> bool:
    """Whether the frame has the Logplex-Drain-Token that its drain is pinned to, if it is."""
    token = headers.get(b"logplex-drain-token", b"").decode("latin-1")
    return not drain.logplex_token or token == drain.logplex_token


def _is_zipped(encoding: bytes) -> bool:
    """Whether a Content-Encoding says gzip. Raises Refused for anything else (RFC 9110 §8.4)."""
    codings = [one for one in (part.strip().lower() for part in encoding.split(b",")) if one not in (b"", b"identity")]
    if codings and codings not in ([b"gzip"], [b"x-gzip"]):
        shown = encoding[:80].decode("ascii", "replace")
        raise Refused(415, f"Content-Encoding is {shown!r}; expected gzip, or none")
    return bool(codings)


def _name(headers: dict[bytes, bytes], body: bytes) -> bytes:
    """What names a frame: Logplex's frame id, else the request's id (Private Spaces), else what was sent."""
    for header in (b"logplex-frame-id", b"x-request-id"):
        if named := headers.get(header):
            return header + b":" + named
    return b"body:" + hashlib.sha256(body).digest()


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
