"""API tokens: create, list, revoke."""

from typing import Annotated

from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from service import access
from service.access import APPS, MOST_APPS, NAME, SCOPES, Scope
from service.api import parameters
from service.api.context import answer, api_of, numbered
from service.api.guard import guarded_router
from service.api.problems import problems
from service.store.pages import Page
from service.store.tokens import Token
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("tokens", Scope.ADMIN)


class TokenJson(TypedDict):
    """A token without its text. `used_at` is exact to a minute; null: never. `apps` are globs; null: it reaches all."""

    id: int
    name: str
    scope: str
    created_at: str
    used_at: str | None
    apps: list[str] | None


class NewTokenJson(TokenJson):
    """A token and its text, which is shown only now."""

    token: str


AppGlob = Annotated[parameters.Text, Field(json_schema_extra={"maxLength": 100, "pattern": APPS})]


class NewToken(parameters.Body):
    """A token to make. `write` holds `read`, `admin` holds both."""

    name: Annotated[
        parameters.Text,
        Field(
            description="Who or what uses it.",
            examples=["grafana"],
            json_schema_extra={"maxLength": 100, "pattern": NAME},
        ),
    ]
    scope: Annotated[parameters.Text, Field(description="What it allows.", json_schema_extra={"enum": list(SCOPES)})]
    apps: Annotated[
        list[AppGlob] | None,
        Field(
            description="Only of these apps, by name or glob: then it reads errors, events, lines, statistics, traffic, and "
            "how apps, dynos, releases and promotions stand, of those alone. Not with `admin`.",
            examples=[["raxx-*"]],
            json_schema_extra={"minItems": 1, "maxItems": MOST_APPS},
        ),
    ] = None


@router.get("/tokens", response_model=PageJson[TokenJson], summary="Tokens")
async def list_tokens(request: Request, _: parameters.NoQuery) -> JSONResponse:
    """All valid tokens, oldest first, without their texts."""
    found = await access.listed(api_of(request).db)
    return answer(page_json(Page(tuple(found), None), token_json, of="tokens"))


@router.post("/tokens", status_code=201, response_model=NewTokenJson, summary="Make a token")
async def create_token(request: Request, _: parameters.NoQuery, body: NewToken) -> JSONResponse:
    """A new token. Its text is shown only now."""
    made, text = await access.create(api_of(request).db, name=body.name, scope=body.scope, apps=body.apps)
    return answer({**token_json(made), "token": text}, 201)


@router.delete("/tokens/{id}", status_code=204, summary="Revoke a token", responses=problems(404))
async def revoke_token(request: Request, id: str, _: parameters.NoQuery) -> Response:
    """It is refused from the next request on."""
    await access.revoke(api_of(request).db, numbered(id, "token"))
    return Response(status_code=204)


def token_json(token: Token) -> TokenJson:
    """A token as a list shows it."""
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created_at": instant(token.created_at),
        "used_at": instant(token.used_at) if token.used_at else None,
        "apps": None if token.apps is None else list(token.apps),
    }
