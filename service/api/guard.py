"""What happens before anything of a request is looked at: who asks, and may they?

A dependency would come too late: the framework reads a body first, and answers a broken one before it knows who sent it.
So the guard is the route itself.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Message, Receive

from service.access import Scope
from service.api.context import api_of
from service.api.problems import problems
from service.errors import Refused

# The largest body there is use for is a webhook's, with a filter and a URL.
MAX_BODY_BYTES = 64 << 10

# For the API's description alone; the check is `guarded`.
BEARER = HTTPBearer(auto_error=False, description="A token of `drainwatch token create`.")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded_router(tag: str, needed: Scope) -> APIRouter:
    """A router under `/v1` whose routes take a token with at least the scope `needed`."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=guarded(needed),
        dependencies=[Depends(BEARER)],
        responses=problems(400, 401, 403),
    )


def guarded(needed: Scope, *, remembered: bool = False) -> type[APIRoute]:
    """The class of routes that take a token with at least the scope `needed`: 401 and 403 come before all else.

    `remembered`: who was let in shortly before the database went away still is.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def guard(request: Request) -> Response:
                authorization = request.headers.get("authorization")
                access = api_of(request).access
                request.state.caller = await access.check(authorization, needed, remembered=remembered)
                _refuse_doubled(request)
                return await handle(Request(request.scope, _bounded(request.receive)))

            return guard

    return Guarded


def _refuse_doubled(request: Request) -> None:
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, times in given.items():
        if times > 1:
            raise Refused(
                400,
                f"{name[:80]} is given {times} times; expected it once",
                parameter=name[:80],
                expected="one value",
            )


def _bounded(receive: Receive) -> Receive:
    left = MAX_BODY_BYTES

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            # The framework turns what else is raised here into a 400.
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes; expected less")
        return message

    return bounded
