"""Deliveries: what became of each telling, and telling it again."""

from typing import Annotated
from uuid import UUID

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, numbered
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused
from service.notify import endpoints
from service.store.deliveries import Attempt, Delivery
from service.store.pages import read_cursor
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("webhooks", Scope.ADMIN)


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


class DeliveryQuery(parameters.Query):
    """Which deliveries."""

    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


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


@router.post(
    "/deliveries/{id}/redeliver",
    status_code=202,
    response_model=DeliveryJson,
    summary="Send a delivery again",
    responses=problems(404, 409),
)
async def redeliver(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """One that is delivered or dead is on its way again, under the same `webhook_id`."""
    queued = await endpoints.redeliver(api_of(request).db, _delivery_id(id))
    return answer(delivery_json(queued), 202)


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


def _delivery_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Refused(404, f"there is no delivery {text[:80]!r}") from error
