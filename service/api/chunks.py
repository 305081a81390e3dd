"""Chunks: what an app sent, octet-counted as it came, for whoever reads all of it anew (`drainwatch backtest`)."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused
from service.store import apps, bodies
from service.store.bodies import Body
from service.store.pages import read_cursor
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("lines", Scope.READ)

SINCE = timedelta(days=7)


class ChunkJson(TypedDict):
    """The `lines` of one app that one commit kept; `body` is base64 of their octet-counted messages (RFC 6587)."""

    received_at: str
    lines: int
    body: str


class ChunkQuery(parameters.Query):
    """Whose, and when it came."""

    app: Annotated[parameters.Text, Field(description="Of this app.", examples=["raxx-api-prod"])]
    since: parameters.Since = None
    until: parameters.Until = None
    cursor: parameters.Cursor = None


@router.get("/chunks", response_model=PageJson[ChunkJson], summary="Lines as they came", responses=problems(404))
async def list_chunks(request: Request, query: Annotated[ChunkQuery, FromQuery()]) -> JSONResponse:
    """What an app sent, in the order of arrival, some megabytes a page. `since` (a week ago, unless it says otherwise) and
    `until` go by when it was received."""
    after = read_cursor(query.cursor, of="chunks") if query.cursor else None
    now = datetime.now(UTC)
    async with api_of(request).db.read() as conn:
        known = await apps.known(conn, name=query.app)
        if not known:
            raise Refused(404, f"there is no app {query.app[:80]!r}; `drainwatch apps` lists them")
        (app_id,) = known
        page = await bodies.arrived(
            conn, app_id, since=query.since or now - SINCE, until=query.until or now, after=after
        )
    return answer(page_json(page, _chunk_json, of="chunks"))


def _chunk_json(one: Body) -> ChunkJson:
    return {
        "received_at": instant(one.received_at),
        "lines": one.lines,
        "body": base64.b64encode(one.body).decode(),
    }
