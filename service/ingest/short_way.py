"""The usual frame's way in: no task for its request, and its answer written as soon as it is committed.

Nearly every frame is whole in the bytes that its request begins with, comes from a drain that has just proved itself, and is
committed some milliseconds later. What uvicorn and an ASGI application do for any request (a task, messages in and out, checks
of headers that are always the same) is half of what such a frame costs. So here uvicorn's protocol is left where it would begin
a request's task. A request that is unusual in any respect, or turns out to be while it waits, goes the whole way from its begin
(`endpoint.py`): the short way knows no answer but 204.
"""

import asyncio
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.ingest.endpoint import DrainEndpoint

_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"


def short_way(endpoint: DrainEndpoint) -> type[asyncio.Protocol]:
    """What uvicorn takes for `http`: its own protocol, with the short way to `endpoint` in it."""
    return cast(type[asyncio.Protocol], partial(_Connection, endpoint))


class _Connection(HttpToolsProtocol):
    def __init__(self, endpoint: DrainEndpoint, **given: Any) -> None:
        super().__init__(**given)
        self._endpoint = endpoint
        self._receives = False
        self._arrived: RequestResponseCycle | None = None  # a request to /drain whose head has just come

    def data_received(self, data: bytes) -> None:
        """What the client has sent."""
        self._receives = True
        try:
            super().data_received(data)
        finally:
            self._receives = False
        if self._arrived is not None:
            request, self._arrived = self._arrived, None
            if not self._takes(request):
                self._go_the_whole_way(request)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Not one that has waited behind another, nor one that uvicorn refuses by an application of its own.
        if self._receives and app is self.app and cycle.scope["path"] == "/drain":
            self._arrived = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _takes(self, request: RequestResponseCycle) -> bool:
        """Whether the request is on its short way."""
        if request.more_body or self.flow.write_paused or request.scope["method"] != "POST":
            return False
        body = bytes(request.body)
        if not self._endpoint.take(cast(dict[str, Any], request.scope), body, partial(self._over, request, body)):
            return False
        request.body = bytearray()  # it is held once, and gone when it is committed
        return True

    def _over(self, request: RequestResponseCycle, body: bytes, stored: bool) -> None:
        if not stored:
            request.body = bytearray(body)
            self._go_the_whole_way(request)
            return
        if not request.disconnected and not self.transport.is_closing():
            self._answer(request)
        request.on_response = lambda: None  # as uvicorn does it: they do not hold each other any more

    def _go_the_whole_way(self, request: RequestResponseCycle) -> None:
        super()._start_asgi_task(request, self.app)

    def _answer(self, request: RequestResponseCycle) -> None:
        """As `RequestResponseCycle.send` does it."""
        head = [_NO_CONTENT, *(b"%b: %b\r\n" % header for header in self.server_state.default_headers)]
        if not request.keep_alive:
            head.append(b"connection: close\r\n")
        self.transport.write(b"".join((*head, b"\r\n")))
        request.response_started = request.response_complete = True
        if not request.keep_alive:
            self.transport.close()
        request.on_response()
