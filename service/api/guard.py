"""What happens before anything of a request is looked at: who asks, and may they?

A dependency would come too late: the framework reads a body first, and answers a broken one before it knows who sent it.
So the guard is the route itself.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Message, Receive

from service.access import Scope, rate_headers
from service.api.context import api_of
from service.api.problems import problems
from service.errors import Refused

# The largest body there is use for is a webhook's, with a filter and a URL.
MAX_BODY_BYTES = 64 << 10

# RFC 1918, RFC 6598, RFC 4193, and the machine itself: nobody asks from there through the internet.
_OF_PROXIES = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"),
    )
)

# For the API's description alone; the check is `guarded`.
BEARER = HTTPBearer(auto_error=False, description="A token of `drainwatch token create`.")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded_router(tag: str, needed: Scope, *, of_apps: bool = False) -> APIRouter:
    """A router under `/v1` whose routes take a token with at least the scope `needed`. `of_apps`: they keep to the apps that a
    token is bound to; others take none that is bound."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=guarded(needed, of_apps=of_apps),
        dependencies=[Depends(BEARER)],
        responses=problems(400, 401, 403, 429),
    )


def guarded(needed: Scope, *, remembered: bool = False, of_apps: bool = False) -> type[APIRoute]:
    """The class of routes that take a token with at least the scope `needed`: 401 and 403 come before all else.

    `remembered`: who was let in shortly before the database went away still is.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def guard(request: Request) -> Response:
                authorization = request.headers.get("authorization")
                access = api_of(request).access
                caller = await access.check(authorization, needed, remembered=remembered, address=address_of(request))
                if caller.apps is not None and not of_apps:
                    raise Refused(
                        403, f"the token {caller.name!r} is bound to apps; expected one that is not, for this is of all"
                    )
                request.state.caller = caller
                taken = access.spend(caller)
                _refuse_doubled(request)
                response = await handle(Request(request.scope, _bounded(request.receive)))
                if taken is not None:
                    response.headers.update(rate_headers(taken))
                return response

            return guard

    return Guarded


def address_of(request: Request) -> str | None:
    """Who asks, by address. Behind a proxy on a private network (Heroku's router is one) that is what it has added last to
    `X-Forwarded-For`; what stands before that, anyone may have written."""
    if request.client is None:
        return None
    peer = request.client.host
    try:
        behind_proxy = any(ipaddress.ip_address(peer) in one for one in _OF_PROXIES)
    except ValueError:
        return peer
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded[:64] if behind_proxy and forwarded else peer


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
