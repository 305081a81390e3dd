"""Webhooks: where incidents are told, and what became of each telling."""

from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, numbered
from service.api.guard import guarded_router
from service.api.problems import problems
from service.notify import endpoints
from service.notify.endpoints import Endpoint, NewSecret
from service.notify.formats import FORMATS
from service.notify.notification import TYPES
from service.store.deliveries import Attempt, Delivery
from service.store.pages import Page, read_cursor
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("webhooks", Scope.ADMIN)


class WebhookJson(TypedDict):
    """An endpoint. `url` shows its host alone, since what follows is often a secret; `types` null: all;
    `disabled_reason` null: it is enabled."""

    id: int
    url: str
    format: str
    match: str
    types: list[str] | None
    allow_private: bool
    enabled: bool
    disabled_reason: str | None
    created_at: str
    previous_until: str | None


class NewWebhookSecretJson(WebhookJson):
    """An endpoint with its signing secret (`whsec_…`), which is shown only now."""

    secret: str


class AttemptJson(TypedDict):
    """One POST tried. `status` null: no answer came, and `error` says why; `answer` is its first KiB."""

    at: str
    status: int | None
    ms: int
    error: str | None
    answer: str | None


class DeliveryJson(TypedDict):
    """One thing owed to one endpoint. `webhook_id` is the header's, the same with each attempt."""

    id: str
    webhook_id: str
    type: str
    incident_id: str | None
    endpoint_id: int
    status: str
    created_at: str
    due_at: str
    attempts: list[AttemptJson]


class NewWebhook(parameters.Body):
    """An endpoint to add."""

    url: Annotated[
        str,
        Field(
            description="Where to POST.",
            examples=["https://example.com/hooks/drainwatch"],
            json_schema_extra={"format": "uri", "pattern": "^https?://"},
        ),
    ]
    format: Annotated[
        parameters.Text, Field(description="The body's format.", json_schema_extra={"enum": list(FORMATS)})
    ] = "standard"
    match: Annotated[
        str, Field(description="Only incidents that match this filter; empty: all.", examples=["severity>=error"])
    ] = ""
    types: Annotated[
        list[parameters.Text] | None,
        Field(
            description="Only these; null: all.",
            json_schema_extra={"items": {"type": "string", "enum": list(TYPES)}},
        ),
    ] = None
    allow_private: Annotated[bool, Field(description="Allow private and loopback addresses.")] = False


class ChangedWebhook(parameters.Body):
    """What to change of an endpoint."""

    enabled: Annotated[bool, Field(description="False: tell it nothing more; true: tell it again from now on.")]


class DeliveryQuery(parameters.Query):
    """Which deliveries."""

    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


@router.get("/webhooks", response_model=PageJson[WebhookJson], summary="Webhooks")
async def list_webhooks(request: Request, _: parameters.NoQuery) -> JSONResponse:
    """All endpoints, oldest first, without their secrets."""
    found = await endpoints.listed(api_of(request).db)
    return answer(page_json(Page(tuple(found), None), webhook_json, of="webhooks"))


@router.post("/webhooks", status_code=201, response_model=NewWebhookSecretJson, summary="Add a webhook")
async def add_webhook(request: Request, _: parameters.NoQuery, body: NewWebhook) -> JSONResponse:
    """A new endpoint, told of what comes about from now on. Its signing secret is shown only now."""
    added = await endpoints.add(
        api_of(request).db,
        url=body.url,
        format=body.format,
        match=body.match,
        types=body.types,
        allow_private=body.allow_private,
    )
    return answer(_secret_json(added), 201)


@router.get("/webhooks/{id}", response_model=WebhookJson, summary="One webhook", responses=problems(404))
async def one_webhook(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The endpoint without its secret."""
    return answer(webhook_json(await endpoints.one(api_of(request).db, numbered(id, "webhook"))))


@router.patch("/webhooks/{id}", response_model=WebhookJson, summary="Enable or disable", responses=problems(404))
async def change_webhook(request: Request, id: str, _: parameters.NoQuery, body: ChangedWebhook) -> JSONResponse:
    """The endpoint as it is then. What was owed to one that is disabled is not sent."""
    change = endpoints.enable if body.enabled else endpoints.disable
    return answer(webhook_json(await change(api_of(request).db, numbered(id, "webhook"))))


@router.delete("/webhooks/{id}", status_code=204, summary="Remove a webhook", responses=problems(404))
async def remove_webhook(request: Request, id: str, _: parameters.NoQuery) -> Response:
    """Nothing is sent there any more, and its URL and secret are forgotten."""
    await endpoints.remove(api_of(request).db, numbered(id, "webhook"))
    return Response(status_code=204)


@router.post(
    "/webhooks/{id}/test",
    status_code=202,
    response_model=DeliveryJson,
    summary="Try a webhook",
    responses=problems(404, 409),
)
async def try_webhook(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """A made-up incident is on its way, marked as a test; its deliveries tell what came of it."""
    api = api_of(request)
    queued = await endpoints.test(api.db, numbered(id, "webhook"), public_url=api.public_url)
    return answer(delivery_json(queued), 202)


@router.post(
    "/webhooks/{id}/rotate", response_model=NewWebhookSecretJson, summary="A new secret", responses=problems(404)
)
async def rotate_webhook(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The endpoint with a new secret, shown only now; the one before signs beside it for 24 h more."""
    return answer(_secret_json(await endpoints.rotate(api_of(request).db, numbered(id, "webhook"))))


@router.get(
    "/webhooks/{id}/deliveries",
    response_model=PageJson[DeliveryJson],
    summary="What a webhook was sent",
    responses=problems(404),
)
async def list_deliveries(request: Request, id: str, query: Annotated[DeliveryQuery, FromQuery()]) -> JSONResponse:
    """What the endpoint was sent or is owed, newest first, with every attempt."""
    after = read_cursor(query.cursor, of="deliveries") if query.cursor else None
    page = await endpoints.deliveries_of(api_of(request).db, numbered(id, "webhook"), limit=query.limit, after=after)
    return answer(page_json(page, delivery_json, of="deliveries"))


def webhook_json(endpoint: Endpoint) -> WebhookJson:
    """An endpoint as a list shows it."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "format": endpoint.format,
        "match": endpoint.match,
        "types": list(endpoint.types) if endpoint.types is not None else None,
        "allow_private": endpoint.allow_private,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "created_at": instant(endpoint.created_at),
        "previous_until": instant(endpoint.previous_until) if endpoint.previous_until else None,
    }


def delivery_json(delivery: Delivery) -> DeliveryJson:
    """A delivery with its attempts, the first one first."""
    return {
        "id": str(delivery.id),
        "webhook_id": str(delivery.id),
        "type": delivery.type,
        "incident_id": str(delivery.incident_id) if delivery.incident_id else None,
        "endpoint_id": delivery.endpoint_id,
        "status": delivery.status,
        "created_at": instant(delivery.created_at),
        "due_at": instant(delivery.due_at),
        "attempts": [_attempt_json(attempt) for attempt in delivery.attempts],
    }


def _attempt_json(attempt: Attempt) -> AttemptJson:
    return {
        "at": instant(attempt.at),
        "status": attempt.status,
        "ms": attempt.ms,
        "error": attempt.error,
        "answer": attempt.answer,
    }


def _secret_json(made: NewSecret) -> NewWebhookSecretJson:
    return {**webhook_json(made.endpoint), "secret": made.secret}
