"""Silences: what is not told for a while, by whom, and why; and what one would have hushed."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query as FromQuery
from fastapi import Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, caller_of, numbered
from service.api.guard import guarded_router
from service.api.problems import problems
from service.notify import silences
from service.store.pages import Key, Page, read_cursor
from service.wire.incident import IncidentGistJson
from service.wire.page import PageJson, page_json
from service.wire.silence import SilenceJson

# A cursor of this list names a silence by its number alone.
_EPOCH, _NO_ID = datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)

reading = guarded_router("silences", Scope.READ)
writing = guarded_router("silences", Scope.WRITE)


class PreviewJson(TypedDict):
    """What a silence would have kept from being told in the last seven days: incidents, the notifications of them, and the
    newest of them as examples."""

    incidents: int
    notifications: int
    examples: list[IncidentGistJson]


def _moment(text: object) -> datetime:
    if not isinstance(text, str) or not text[:4].isdigit() or text[4:5] != "-":
        raise parameters.refuse("an RFC 3339 time as in 2026-05-11T12:00:00Z")
    try:
        return parameters.parse_time(text, now=datetime.now(UTC))
    except ValueError as error:
        raise parameters.refuse("an RFC 3339 time as in 2026-05-11T12:00:00Z") from error


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Match = Annotated[
    parameters.Storable,
    WithJsonSchema(
        {
            "type": "string",
            "format": "filter-of-some",
            "description": "Which incidents, in the filter language; an app or a rule must be in it.",
            "examples": ["app:shop-* rule:error_rate"],
        }
    ),
]
Comment = Annotated[parameters.Text, Field(description="Why.", examples=["the database moves"])]


class Matcher(parameters.Body):
    """Which incidents."""

    match: Match


class NewSilence(Matcher):
    """What is not to be told, and for how long."""

    starts_at: Annotated[Moment | None, Field(description="From when on; null: from now on.")] = None
    ends_at: Annotated[Moment | None, Field(description="Until when; null: for 24 hours.")] = None
    comment: Comment | None = None


class ChangedSilence(parameters.Body):
    """What to change of a silence; what is null stays."""

    match: Match | None = None
    ends_at: Annotated[Moment | None, Field(description="Until when.")] = None
    comment: Comment | None = None


class SilenceQuery(parameters.Query):
    """Which silences."""

    ended: Annotated[bool | None, Field(description="true: only those that have ended; false: only the others.")] = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


@reading.get("/silences", response_model=PageJson[SilenceJson], summary="Silences")
async def list_silences(request: Request, query: Annotated[SilenceQuery, FromQuery()]) -> JSONResponse:
    """All silences, newest first, those that have ended too."""
    after = read_cursor(query.cursor, of="silences") if query.cursor else None
    found = await silences.listed(
        api_of(request).db, ended=query.ended, before=after.number if after else None, limit=query.limit + 1
    )
    items = tuple(found[: query.limit])
    more = len(found) > query.limit
    page = Page(items, Key(_EPOCH, _NO_ID, items[-1]["id"]) if more else None)
    return answer(page_json(page, lambda one: one, of="silences"))


@writing.post("/silences", status_code=201, response_model=SilenceJson, summary="Add a silence")
async def add_silence(request: Request, _: parameters.NoQuery, body: NewSilence) -> JSONResponse:
    """From its beginning to its end what it matches is recognised and kept, and not told. Its end is told."""
    made = await silences.add(
        api_of(request).db,
        match=body.match,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        comment=body.comment or "",
        author=caller_of(request).name,
    )
    return answer(made, 201)


@writing.post("/silences/preview", response_model=PreviewJson, summary="What a silence would have hushed")
async def preview_silence(request: Request, _: parameters.NoQuery, body: Matcher) -> JSONResponse:
    """Of the last seven days; nothing is saved."""
    found = await silences.preview(api_of(request).db, match=body.match)
    return answer(
        {"incidents": found.incidents, "notifications": found.notifications, "examples": list(found.examples)}
    )


@reading.get("/silences/{id}", response_model=SilenceJson, summary="One silence", responses=problems(404))
async def one_silence(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The silence, also after its end."""
    return answer(await silences.one(api_of(request).db, numbered(id, "silence")))


@writing.patch("/silences/{id}", response_model=SilenceJson, summary="Change a silence", responses=problems(404, 409))
async def change_silence(request: Request, id: str, _: parameters.NoQuery, body: ChangedSilence) -> JSONResponse:
    """The silence as it is then. What it no longer matches is loud again at once."""
    changed = await silences.change(
        api_of(request).db, numbered(id, "silence"), match=body.match, ends_at=body.ends_at, comment=body.comment
    )
    return answer(changed)


@writing.delete("/silences/{id}", status_code=204, summary="End a silence", responses=problems(404, 409))
async def end_silence(request: Request, id: str, _: parameters.NoQuery) -> Response:
    """It ends now, which is told with what is loud again; one that has not begun is forgotten."""
    await silences.end(api_of(request).db, numbered(id, "silence"))
    return Response(status_code=204)
