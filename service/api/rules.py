"""Rules: what is in force, for an app or where nothing else is said, and which file each number comes from."""

from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of
from service.api.guard import guarded_router
from service.errors import Refused
from service.store import apps
from service.store.pages import Page
from service.wire.page import PageJson, page_json
from service.wire.rule import RuleJson, rule_json

router = guarded_router("rules", Scope.READ)


class RuleQuery(parameters.Query):
    """Where they hold."""

    app: parameters.App = None
    environment: parameters.Environment = None


@router.get("/rules", response_model=PageJson[RuleJson], summary="Rules")
async def list_rules(request: Request, query: Annotated[RuleQuery, FromQuery()]) -> JSONResponse:
    """Every rule, also those that are switched off, on one page: as it holds for `app`, whose environment is known once it has
    a drain (until then `production`, or what `environment` says), or where no table is for some apps only."""
    if query.environment and not query.app:
        expected = "app beside it"
        raise Refused(
            400, f"environment alone says nothing; expected {expected}", parameter="environment", expected=expected
        )
    environment = query.environment
    if query.app and environment is None:
        async with api_of(request).db.read() as conn:
            known = await apps.known(conn, name=query.app)
        environment = next((app.environment for app in known.values()), "production")
    said = api_of(request).rules.said(app=query.app, environment=environment)
    found = Page(tuple(said.items()), None)
    return answer(page_json(found, lambda one: rule_json(*one), of="rules"))
