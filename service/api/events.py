"""Events: the recent errors, all events, and one with the lines around it."""

from typing import Annotated
from uuid import UUID

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse

from parsers.filters import predicate
from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, reach_of, within_reach
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused
from service.store import chunks, events
from service.store.chunks import Place
from service.store.pages import read_cursor
from service.wire.event import EventJson, EventWithContextJson, event_json
from service.wire.line import context_json
from service.wire.page import PageJson, page_json

router = guarded_router("events", Scope.READ, of_apps=True)


class EventQuery(parameters.Query):
    """Which events."""

    app: parameters.App = None
    environment: parameters.Environment = None
    code: parameters.Code = None
    kind: parameters.Kind = None
    dyno: parameters.Dyno = None
    since: parameters.Since = None
    until: parameters.Until = None
    q: parameters.Filter = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


@router.get("/errors", response_model=PageJson[EventJson], summary="The recent errors")
async def list_errors(request: Request, query: Annotated[EventQuery, FromQuery()]) -> JSONResponse:
    """Events of severity error and above, newest first by the lines' own time.

    Where `q` is asked of very many and holds of few, a page may hold fewer than `limit` and still name a next one.
    """
    return await _page(request, query, of="errors", errors_only=True)


@router.get("/events", response_model=PageJson[EventJson], summary="All events")
async def list_events(request: Request, query: Annotated[EventQuery, FromQuery()]) -> JSONResponse:
    """Events of every severity, newest first by the lines' own time; otherwise as the recent errors."""
    return await _page(request, query, of="events", errors_only=False)


@router.get(
    "/events/{id}", response_model=EventWithContextJson, summary="One event with its lines", responses=problems(404)
)
async def one_event(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The event, and up to 20 lines before and 20 after it of the same dyno, its own marked."""
    async with api_of(request).db.read() as conn:
        kept = await events.one(conn, _event_id(id))
        if kept is None or not predicate(reach_of(request))(kept.event):
            raise _no_event(id)
        event = kept.event
        process = event.dyno or event.process
        lines = await chunks.around(conn, kept.app_id, event.received_at, kept.chunk_id, event.place, process)
    own = Place(event.received_at, kept.chunk_id, event.place)
    return answer({**event_json(event), "context": context_json(lines, own)})


async def _page(request: Request, query: EventQuery, *, of: str, errors_only: bool) -> JSONResponse:
    wanted = events.Wanted(
        app=query.app,
        environment=query.environment,
        code=query.code,
        kind=query.kind,
        dyno=query.dyno,
        since=query.since,
        until=query.until,
        errors_only=errors_only,
        q=within_reach(request, query.q),
    )
    after = read_cursor(query.cursor, of=of) if query.cursor else None
    async with api_of(request).db.read() as conn:
        page = await events.latest(conn, wanted, after=after, limit=query.limit)
    return answer(page_json(page, lambda kept: event_json(kept.event), of=of))


def _event_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _no_event(text) from None


def _no_event(text: str) -> Refused:
    return Refused(404, f"there is no event {text[:80]!r}, or none any more")
