"""Codes: what Heroku's H, R and L codes mean."""

from fastapi import Request
from starlette.responses import JSONResponse

from parsers.catalogue import CODES
from service.access import Scope
from service.api import parameters
from service.api.context import answer
from service.api.guard import guarded_router
from service.store.pages import Page
from service.wire.code import CodeJson, code_json
from service.wire.page import PageJson, page_json

router = guarded_router("codes", Scope.READ, of_apps=True)


@router.get("/codes", response_model=PageJson[CodeJson], summary="What Heroku's codes mean")
async def list_codes(request: Request, _: parameters.NoQuery) -> JSONResponse:
    """Every code of the router (H), of dynos (R) and of the logs (L), also retired ones, on one page."""
    return answer(page_json(Page(tuple(CODES.values()), None), code_json, of="codes"))
