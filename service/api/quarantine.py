"""Quarantine: what could not be parsed, and why."""

import base64
from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of
from service.api.guard import guarded_router
from service.store import quarantine
from service.store.pages import read_cursor
from service.store.quarantine import Quarantined
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("quarantine", Scope.ADMIN)


class QuarantinedJson(TypedDict):
    """A stretch of a body that could not be read: as text, with U+FFFD for what is not UTF-8, and as base64."""

    id: str
    received_at: str
    app: str
    reason: str
    text: str
    bytes: str


class QuarantineQuery(parameters.Query):
    """Which stretches."""

    app: parameters.App = None
    since: parameters.Since = None
    until: parameters.Until = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


@router.get("/quarantine", response_model=PageJson[QuarantinedJson], summary="What could not be parsed")
async def list_quarantine(request: Request, query: Annotated[QuarantineQuery, FromQuery()]) -> JSONResponse:
    """Bytes that are in no line, newest first; `since` and `until` go by the time of receipt."""
    wanted = quarantine.Wanted(app=query.app, since=query.since, until=query.until)
    after = read_cursor(query.cursor, of="quarantine") if query.cursor else None
    async with api_of(request).db.read() as conn:
        page = await quarantine.latest(conn, wanted, after=after, limit=query.limit)
    return answer(page_json(page, quarantined_json, of="quarantine"))


def quarantined_json(found: Quarantined) -> QuarantinedJson:
    """A stretch as a list shows it."""
    return {
        "id": str(found.id),
        "received_at": instant(found.received_at),
        "app": found.app,
        "reason": found.reason,
        "text": found.body.decode("utf-8", "replace"),
        "bytes": base64.b64encode(found.body).decode(),
    }
