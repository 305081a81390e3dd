"""Drains: who may post, and the line that tells Heroku of it."""

from datetime import datetime
from typing import Annotated

from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import Api, answer, api_of, numbered
from service.api.guard import guarded_router
from service.api.problems import problems
from service.ingest import drains
from service.ingest.drains import APP_NAME, ENVIRONMENT, LOGPLEX_TOKEN, NewSecret
from service.store.drains import Drain
from service.store.pages import Page
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("drains", Scope.ADMIN)


Environment = Annotated[parameters.Text, Field(json_schema_extra={"maxLength": 32, "pattern": ENVIRONMENT})]
LogplexToken = Annotated[parameters.Text, Field(json_schema_extra={"pattern": LOGPLEX_TOKEN})]


class DrainJson(TypedDict):
    """A drain without its secret, and what it has sent, as far as all web processes have told: within some seconds.

    Until `previous_until` the secret before the present one serves too. `frames` are those stored, `lines` and `bytes` what
    was in them; `repeats` came again; `damaged` stretches went to quarantine; `count_mismatches` are frames that held another
    number of messages than their Logplex-Msg-Count. `refusals` are numbers of answers by status: lines that the sender lost;
    those with 401 named the app with a wrong secret, and stand with each of its drains. `lost` is what Logplex says it dropped
    (L10). `clock_skew_ms` is how long after its newest line's own time a frame comes: negative where the sender's clock is
    ahead, null before the first line.
    """

    id: int
    app: str
    environment: str
    logplex_token: str | None
    created_at: str
    previous_until: str | None
    last_heard_at: str | None
    frames: int
    lines: int
    bytes: int
    repeats: int
    damaged: int
    count_mismatches: int
    refusals: dict[str, int]
    last_refused_at: str | None
    lost: int
    last_lost_at: str | None
    clock_skew_ms: int | None


class NewDrainSecretJson(DrainJson):
    """A drain with its secret, which is shown only now; `command` is what to type."""

    secret: str
    url: str
    command: str


class NewDrain(parameters.Body):
    """A drain to add; its app is registered with its first one."""

    app: Annotated[
        parameters.Text, Field(description="The Heroku app's name.", json_schema_extra={"pattern": APP_NAME})
    ]
    environment: Annotated[
        Environment, Field(description="What the app is used for; `production` is what rules ask for.")
    ]
    logplex_token: Annotated[
        LogplexToken | None,
        Field(description="Take frames with this Logplex-Drain-Token alone.", examples=["d.fc6b856b-3332"]),
    ] = None


class ChangedDrain(parameters.Body):
    """What to change of a drain; what is left out stays as it is."""

    environment: Annotated[
        Environment | None, Field(description="The app's environment, for its other drains too.")
    ] = None
    logplex_token: Annotated[
        LogplexToken | None, Field(description="The one Logplex-Drain-Token to take; null: any.")
    ] = None


@router.get("/drains", response_model=PageJson[DrainJson], summary="Drains")
async def list_drains(request: Request, _: parameters.NoQuery) -> JSONResponse:
    """All drains, oldest first, without their secrets."""
    api = api_of(request)
    await _count(api)
    found = await drains.listed(api.db)
    return answer(page_json(Page(tuple(found), None), drain_json, of="drains"))


@router.post(
    "/drains", status_code=201, response_model=NewDrainSecretJson, summary="Add a drain", responses=problems(409)
)
async def add_drain(request: Request, _: parameters.NoQuery, body: NewDrain) -> JSONResponse:
    """A new drain. Its secret is shown only now, and `command` is the line that tells Heroku of it."""
    api = api_of(request)
    added = await drains.add(
        api.db,
        app=body.app,
        environment=body.environment,
        logplex_token=body.logplex_token,
        public_url=api.public_url,
    )
    return answer(_secret_json(added), 201)


@router.get("/drains/{id}", response_model=DrainJson, summary="One drain", responses=problems(404))
async def one_drain(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The drain without its secret."""
    api = api_of(request)
    await _count(api)
    return answer(drain_json(await drains.one(api.db, numbered(id, "drain"))))


@router.patch("/drains/{id}", response_model=DrainJson, summary="Change a drain", responses=problems(404))
async def change_drain(request: Request, id: str, _: parameters.NoQuery, body: ChangedDrain) -> JSONResponse:
    """The drain as it is then."""
    changed = await drains.change(
        api_of(request).db,
        numbered(id, "drain"),
        environment=body.environment,
        logplex_token=body.logplex_token,
        pin="logplex_token" in body.model_fields_set,
    )
    return answer(drain_json(changed))


@router.post("/drains/{id}/rotate", response_model=NewDrainSecretJson, summary="A new secret", responses=problems(404))
async def rotate_drain(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The drain with a new secret, shown only now; the one before serves for 24 h more."""
    api = api_of(request)
    rotated = await drains.rotate(api.db, numbered(id, "drain"), public_url=api.public_url)
    return answer(_secret_json(rotated))


@router.delete("/drains/{id}", status_code=204, summary="Remove a drain", responses=problems(404))
async def remove_drain(request: Request, id: str, _: parameters.NoQuery) -> Response:
    """It may post no more; what it brought stays."""
    await drains.remove(api_of(request).db, numbered(id, "drain"))
    return Response(status_code=204)


def drain_json(drain: Drain) -> DrainJson:
    """A drain as a list shows it."""
    counts = drain.counts
    return {
        "id": drain.id,
        "app": drain.app,
        "environment": drain.environment,
        "logplex_token": drain.logplex_token,
        "created_at": instant(drain.created_at),
        "previous_until": _instant(drain.previous_until),
        "last_heard_at": _instant(counts.heard_at),
        "frames": counts.frames,
        "lines": counts.lines,
        "bytes": counts.bytes,
        "repeats": counts.repeats,
        "damaged": counts.damaged,
        "count_mismatches": counts.mismatches,
        "refusals": dict(counts.refusals),
        "last_refused_at": _instant(counts.refused_at),
        "lost": counts.lost,
        "last_lost_at": _instant(counts.lost_at),
        "clock_skew_ms": counts.skew_ms,
    }


async def _count(api: Api) -> None:
    """Adds what this process has counted, so that where there is but one, its answers are exact."""
    if api.tallies:
        await api.tallies.keep(api.db)


def _instant(at: datetime | None) -> str | None:
    return instant(at) if at else None


def _secret_json(made: NewSecret) -> NewDrainSecretJson:
    return {**drain_json(made.drain), "secret": made.secret, "url": made.url, "command": made.command}
