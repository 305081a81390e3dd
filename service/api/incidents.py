"""Incidents: what is going on, one with all that is known of it, and what a person does about it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query as FromQuery
from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse

from parsers.filters.tree import Everything
from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, caller_of
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused
from service.incidents import actions, explain
from service.store import incidents, transitions
from service.store.incidents import Incident
from service.store.pages import Key, Page, read_cursor
from service.wire.decision import DecisionJson, ExplanationJson
from service.wire.incident import IncidentJson, IncidentWithTimelineJson, incident_json, with_timeline_json
from service.wire.page import PageJson, page_json

reading = guarded_router("incidents", Scope.READ)
writing = guarded_router("incidents", Scope.WRITE)


class IncidentQuery(parameters.Query):
    """Which incidents."""

    status: Annotated[
        Literal["open", "acknowledged", "resolved"] | None, Field(description="Only those in this state.")
    ] = None
    rule: Annotated[parameters.Text | None, Field(description="Only of this rule.", examples=["crash_loop"])] = None
    app: parameters.App = None
    environment: parameters.Environment = None
    severity: parameters.AtLeast = None
    since: parameters.Since = None
    until: parameters.Until = None
    q: parameters.Filter = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


class Step(parameters.Body):
    """What a person has seen when they act."""

    version: Annotated[
        parameters.Version | None, Field(description="The incident's version as seen; 409 if it has changed since.")
    ] = None


class Note(parameters.Body):
    """What is to be kept with the incident."""

    text: Annotated[parameters.LongText, Field(description="What whoever comes next should know.")]


class ExplainQuery(parameters.Query):
    """Which app, and when."""

    app: Annotated[parameters.Text, Field(description="The app.", examples=["raxx-api-prod"])]
    at: Annotated[parameters.Time, Field(description="The time: RFC 3339, or a time ago.")]


@reading.get("/incidents", response_model=PageJson[IncidentJson], summary="Incidents")
async def list_incidents(request: Request, query: Annotated[IncidentQuery, FromQuery()]) -> JSONResponse:
    """Incidents by when they began, newest first; each without its timeline. `since` and `until` go by their beginning; `q`
    asks them as a webhook's matcher does: `rule`, `subject`, `status`, `key`, `count`, `title` and `diagnosis` are fields."""
    after = read_cursor(query.cursor, of="incidents") if query.cursor else None
    async with api_of(request).db.read() as conn:
        found = await incidents.page(
            conn,
            app=query.app,
            environment=query.environment,
            rule=query.rule,
            status=query.status,
            severity=query.severity,
            since=query.since,
            until=query.until,
            q=query.q or Everything(),
            before=(after.at, after.id) if after else None,
            limit=query.limit + 1,
        )
    items = tuple(found[: query.limit])
    page = Page(items, Key(items[-1].opened_at, items[-1].id) if len(found) > query.limit else None)
    return answer(page_json(page, incident_json, of="incidents"))


@reading.get(
    "/incidents/{id}", response_model=IncidentWithTimelineJson, summary="One incident", responses=problems(404)
)
async def one_incident(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The incident with its timeline."""
    return await _shown(request, _incident_id(id))


@writing.post(
    "/incidents/{id}/acknowledge",
    response_model=IncidentWithTimelineJson,
    summary="Acknowledge",
    responses=problems(404, 409),
)
async def acknowledge(request: Request, id: str, _: parameters.NoQuery, body: Step | None = None) -> JSONResponse:
    """Somebody has taken it on: it is loud no more, and the incident as it is then comes back."""
    return await _act(request, id, body, actions.acknowledge)


@writing.post(
    "/incidents/{id}/resolve", response_model=IncidentWithTimelineJson, summary="Resolve", responses=problems(404, 409)
)
async def resolve(request: Request, id: str, _: parameters.NoQuery, body: Step | None = None) -> JSONResponse:
    """It is over, says a person. If it goes on all the same, it is reopened."""
    return await _act(request, id, body, actions.resolve)


@writing.post(
    "/incidents/{id}/notes",
    status_code=201,
    response_model=IncidentWithTimelineJson,
    summary="Note",
    responses=problems(404),
)
async def add_note(request: Request, id: str, _: parameters.NoQuery, body: Note) -> JSONResponse:
    """Something for the timeline that whoever comes next should know; nobody is told."""
    incident_id = _incident_id(id)
    await actions.note(api_of(request).db, incident_id, text=body.text, actor=caller_of(request).name)
    return await _shown(request, incident_id, 201)


@reading.get(
    "/incidents/{id}/decisions",
    response_model=PageJson[DecisionJson],
    summary="Why somebody was told of it, or nobody",
    responses=problems(404),
)
async def decisions_of_incident(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """Every decision to tell of the incident at a webhook or not, in order, with its reason."""
    found = await explain.of_incident(api_of(request).db, _incident_id(id))
    return answer(page_json(Page(tuple(found), None), lambda one: one, of="decisions"))


@reading.get("/decisions", response_model=ExplanationJson, summary="Why somebody was told at a time, or nobody")
async def decisions_at(request: Request, query: Annotated[ExplainQuery, FromQuery()]) -> JSONResponse:
    """Of one app: the incidents that stood then, what was decided of them until then, and the silences in force."""
    return answer(await explain.at_time(api_of(request).db, app=query.app, at=query.at))


async def _act(
    request: Request, id: str, body: Step | None, action: Callable[..., Awaitable[Incident]]
) -> JSONResponse:
    incident_id = _incident_id(id)
    version = body.version if body else None
    await action(api_of(request).db, incident_id, version=version, actor=caller_of(request).name)
    return await _shown(request, incident_id)


async def _shown(request: Request, incident_id: UUID, status: int = 200) -> JSONResponse:
    async with api_of(request).db.read() as conn:
        incident = await incidents.one(conn, incident_id)
        if incident is None:
            raise _no_incident(str(incident_id))
        timeline = await transitions.timeline(conn, app_id=incident.app_id, incident_id=incident.id)
    return answer(with_timeline_json(incident, timeline), status)


def _incident_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _no_incident(text) from None


def _no_incident(text: str) -> Refused:
    return Refused(404, f"there is no incident {text[:80]!r}, or none any more")
