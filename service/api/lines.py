"""Lines: what was sent, as it was sent."""

from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse

from service.access import Scope
from service.api import parameters
from service.api.context import a_turn, answer, api_of, within_reach
from service.api.guard import guarded_router
from service.store import chunks
from service.store.pages import read_cursor
from service.wire.line import LineJson, line_json
from service.wire.page import PageJson, page_json

router = guarded_router("lines", Scope.READ, of_apps=True)


class LineQuery(parameters.Query):
    """Which lines."""

    app: parameters.App = None
    environment: parameters.Environment = None
    dyno: parameters.Dyno = None
    since: parameters.Since = None
    until: parameters.Until = None
    q: parameters.Filter = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


@router.get("/lines", response_model=PageJson[LineJson], summary="Raw lines")
async def list_lines(request: Request, query: Annotated[LineQuery, FromQuery()]) -> JSONResponse:
    """Lines, newest first by arrival; `since` and `until` go by the lines' own time.

    Where much has to be looked through for little, a page may hold fewer than `limit`, even none, and still name a next one.
    `q` asks of a line what it asks of an event (docs/filters.md, "Lines").
    """
    wanted = chunks.Wanted(
        app=query.app,
        environment=query.environment,
        dyno=query.dyno,
        since=query.since,
        until=query.until,
        q=within_reach(request, query.q),
    )
    after = read_cursor(query.cursor, of="lines") if query.cursor else None
    async with a_turn(request), api_of(request).db.read() as conn:
        page = await chunks.latest(conn, wanted, after=after, limit=query.limit)
    return answer(page_json(page, line_json, of="lines"))
