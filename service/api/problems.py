"""Every refusal as problem details: which exception becomes which status, and what it says."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from service.access import Scope
from service.api.context import api_of
from service.errors import Refused, StoreAway
from service.wire.problem import MEDIA_TYPE, problem_json

GUARDED = "/v1/"

_DOCUMENTED: dict[int | str, str] = {
    400: "A parameter or the body is wrong: `parameter` says which, `expected` what would be right.",
    401: "There is no token, or no valid one.",
    403: "The token's scope does not reach that far.",
    404: "There is no such thing, or none any more.",
    429: "Too many requests; `Retry-After` says in how many seconds there is room for one.",
    410: "It is too long ago.",
    409: "It has changed meanwhile, or does not allow that.",
    503: "Not now; the same request may succeed later.",
    "default": "Any other refusal; 503 while the database is away: the same request may succeed later.",
}

# What pydantic calls its errors → what was expected. Our own say it themselves.
_EXPECTED = {
    "missing": "a value",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_attributes_type": "a JSON object, with the header Content-Type: application/json",
    "model_type": "a JSON object, with the header Content-Type: application/json",
    "json_invalid": "valid JSON",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says in the API's description about these refusals, and about any other."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    said: tuple[int | str, ...] = (*statuses, "default")
    return {status: {"description": _DOCUMENTED[status], "content": {MEDIA_TYPE: schema}} for status in said}


def install_problems(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """From now on whatever is raised in `app`, which has these routers, is answered with problem details."""
    app.state.routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(StoreAway, _on_away)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


def problem_of(refused: Refused) -> Response:
    """The answer that says what was refused."""
    return _problem(
        refused.status,
        refused.detail,
        parameter=refused.parameter,
        column=refused.column,
        expected=refused.expected,
        extra=refused.extra,
        headers=refused.headers,
    )


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem_of(error)


async def _on_away(request: Request, error: Exception) -> Response:
    return _problem(503, "the database is away; the same request may succeed in a moment", headers={"Retry-After": "2"})


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where, *path = found[0]["loc"]
    name = ".".join(str(part) for part in path)[:200] if found[0]["type"] != "json_invalid" else ""
    kind = {"query": "query parameter", "path": "path parameter"}.get(str(where), "member")
    if found[0]["type"] == "extra_forbidden":
        return _problem(400, f"there is no {kind} {name[:80]!r} here; expected none of that name", parameter=name)
    expected = _expected(found[0])
    if found[0]["type"] == "filter":
        said = found[0]["ctx"]
        return _problem(400, said["detail"], parameter=name, column=said["column"], expected=expected)
    value = f"is {str(found[0]['input'])[:80]!r}" if where == "query" else "is wrong"
    value = "is missing" if found[0]["type"] == "missing" else value
    return _problem(
        400, f"{name or 'the body'} {value}; expected {expected}", parameter=name or "body", expected=expected
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith(GUARDED) and error.status_code in (404, 405):
        # Raised by the router, before any guard: who may not ask does not learn what there is.
        try:
            await api_of(request).access.check(request.headers.get("authorization"), Scope.READ)
        except Refused as refused:
            return problem_of(refused)
        except StoreAway as away:
            return await _on_away(request, away)
    if error.status_code == 404:
        return _problem(404, f"there is nothing at {request.url.path[:200]}; /docs lists what there is")
    if error.status_code == 405:
        # The router names the methods of the first route with that path alone.
        takes = ", ".join(_methods_at(request)) or (error.headers or {}).get("Allow", "")
        said = f"{request.url.path[:200]} does not take {request.method[:20]}; expected {takes}"
        return _problem(405, said, headers={"Allow": takes})
    return _problem(error.status_code, str(error.detail), headers=error.headers)


def _methods_at(request: Request) -> list[str]:
    """What may be asked at the request's path, by all routes that have it."""
    routes: Sequence[APIRoute] = request.app.state.routes
    fitting = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    # `/silences/preview` is no silence named `preview`.
    fitting = [route for route in fitting if route.path == request.url.path] or fitting
    return sorted({method for route in fitting for method in route.methods or ()})


async def _on_bug(request: Request, error: Exception) -> Response:
    # The server logs the exception itself; its text may hold what the caller must not see.
    return _problem(500, "something is broken here; the log of drainwatch has the details")


def _expected(found: Mapping[str, Any]) -> str:
    own = (found.get("ctx") or {}).get("expected")
    return str(own or _EXPECTED.get(found["type"]) or found["msg"])


def _problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **said: Any) -> Response:
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    if status == HTTPStatus.UNAUTHORIZED:
        all_headers["WWW-Authenticate"] = 'Bearer realm="drainwatch"'
    return JSONResponse(problem_json(status, detail, **said), status, headers=all_headers, media_type=MEDIA_TYPE)
