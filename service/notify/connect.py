"""The one way out for webhooks: a POST to the address that was checked, and to no other.

A name is resolved once for each connection, its addresses are judged, and the connection is made to one of those very
addresses: a DNS answer that changes between the check and the connect changes nothing. Host header, SNI and the name in
the certificate stay those of the URL. It stands on httpcore, the lower half of httpx, because the upper half would have to
be talked out of cookies, redirects, proxies from the environment and a log line with the URL in it. A connection carries
one request: an idle one might be closed by the receiver just as the next is sent, and what arrived would be unknown.
"""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import httpcore
import httpx

from service.notify.addresses import why_not_public
from service.notify.names import Resolve, SystemNames

ANSWER_BYTES = 1024
# For each address: of 10 s in all, a dead one of several leaves time for the next.
_CONNECT_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one POST. `status` is None where no answer came, and `error` says why in words that hold nothing of the
    URL. `text` is the first KiB of the answer's body, `retry_after` its header as it came, `ms` the time it all took."""

    status: int | None
    ms: int
    error: str | None = None
    text: str | None = None
    retry_after: str | None = None


class WayOut:
    """Sends POSTs. An async context manager; `resolve` and `tls` are the system's own unless given."""

    def __init__(self, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        # At DEBUG httpcore writes hosts and headers into the log.
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        tls = tls or httpx.create_ssl_context()
        resolve = resolve or SystemNames().resolve
        # Two pools: a connection that was made without judging the address must never serve who may not.
        self._pools = {
            allow_private: httpcore.AsyncConnectionPool(
                ssl_context=tls,
                network_backend=_Checked(resolve, allow_private=allow_private),
                max_connections=None,
                max_keepalive_connections=0,
            )
            for allow_private in (False, True)
        }

    async def __aenter__(self) -> "WayOut":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool, seconds: float
    ) -> Answer:
        """One POST of `body`, over within `seconds` from the name's resolution to the answer's end. Raises nothing that the
        network or the receiver could cause: that is the answer's `error`."""
        began = time.monotonic()
        heard = _Heard()
        error: str | None = None
        try:
            async with asyncio.timeout(seconds):
                await self._exchange(url, body, headers, heard, allow_private=allow_private)
        except TimeoutError:
            error = f"no answer within {seconds:g} s"
        except Exception as caught:
            error = _in_words(caught)
        return Answer(
            status=heard.status,
            ms=round((time.monotonic() - began) * 1000),
            # Once the status is here the answer is given, however its body ends.
            error=None if heard.status is not None else error,
            text=None if heard.status is None else bytes(heard.body).decode("utf-8", "replace").replace("\0", "�"),
            retry_after=heard.retry_after,
        )

    async def _exchange(
        self, url: str, body: bytes, headers: Mapping[str, str], heard: "_Heard", *, allow_private: bool
    ) -> None:
        parsed = httpx.URL(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        sent = {"Host": parsed.netloc.decode("ascii"), "Accept-Encoding": "identity", "Connection": "close", **headers}
        pool = self._pools[allow_private]
        async with pool.stream("POST", target, headers=list(sent.items()), content=body) as response:
            heard.status = response.status
            heard.retry_after = next(
                (value.decode("latin-1") for name, value in response.headers if name.lower() == b"retry-after"), None
            )
            async for part in response.aiter_stream():
                heard.body += part[: ANSWER_BYTES - len(heard.body)]
                if len(heard.body) == ANSWER_BYTES:
                    break


class _Heard:
    """What has been heard of an answer so far: kept apart, so that a time limit leaves it readable."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None
        self.body = bytearray()


class _NotSent(Exception):
    """Why no connection was tried; the text is for the attempt's record."""


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged; the name itself goes no further than here."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await self._resolve(host)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "no such name"
            raise _NotSent(f"the host's name could not be resolved: {why}") from error
        refused = {} if self._allow_private else {one: what for one in found if (what := why_not_public(one))}
        allowed = [one for one in found if one not in refused]
        if not allowed:
            what = next(iter(refused.values()), "no address at all")
            raise _NotSent(f"refused: the host's name leads to {what}, and the endpoint does not allow private ones")
        failure: Exception | None = None
        for address in allowed:
            try:
                return await self._network.connect_tcp(
                    address, port, _CONNECT_SECONDS, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


# OpenSSL's own words for these two hold the host's name (x509_vfy.h, X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH).
_OTHER_NAME = {62, 64}


def _in_words(error: BaseException) -> str:
    """The failure as a sentence that holds nothing of the URL: never an exception's own text, which often does."""
    if isinstance(error, _NotSent):
        return str(error)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            named = cause.verify_code in _OTHER_NAME
            return f"TLS: the certificate is {'for another name' if named else f'not trusted: {cause.verify_message}'}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: the handshake failed: {(cause.reason or 'no reason given').replace('_', ' ').lower()}"
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno is not None:
            doing = "could not connect" if isinstance(error, httpcore.ConnectError) else "the connection broke"
            return f"{doing}: {os.strerror(cause.errno)}"
    return _BY_KIND.get(type(error), f"failed with {type(error).__name__}")


_BY_KIND: dict[type[BaseException], str] = {
    httpcore.ConnectError: "could not connect",
    httpcore.ConnectTimeout: "could not connect in time",
    httpcore.ReadError: "the connection broke before an answer came",
    httpcore.WriteError: "the connection broke while the request was sent",
    httpcore.RemoteProtocolError: "the answer was not HTTP, or the connection was closed before it came",
    httpcore.LocalProtocolError: "the request could not be written as HTTP",
    httpcore.UnsupportedProtocol: "the URL's scheme is not http or https",
}


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            yield from seen.exceptions
        seen = seen.__cause__ or seen.__context__
