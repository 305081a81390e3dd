"""Webhooks: where incidents are told."""

from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field, WithJsonSchema
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from parsers.event import Severity
from parsers.filters.grammar import MAX_LENGTH
from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, numbered
from service.api.deliveries import DeliveryJson, delivery_json
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused
from service.notify import endpoints
from service.notify.endpoints import Endpoint, NewSecret
from service.notify.formats import FORMATS
from service.notify.new_endpoint import LEAST_REPEAT_S, MOST_REPEAT_S, ROUTING_KEY, URL_LENGTH
from service.notify.notification import TYPES
from service.store.pages import Page
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

SEVERITIES = tuple(one.label for one in Severity)

router = guarded_router("webhooks", Scope.ADMIN)


class WebhookJson(TypedDict):
    """An endpoint. `url` shows its host alone, since what follows is often a secret; `types` null: all; `min_severity` null:
    any; `repeat_s` null: no reminders; `quiet_hours` as in "22:00-07:00 Europe/Berlin"; `disabled_reason` null: it is enabled;
    `failing_since` null: the last attempt succeeded, or there was none."""

    id: int
    url: str
    format: str
    match: str
    types: list[str] | None
    allow_private: bool
    min_severity: str | None
    escalations: bool
    repeat_s: int | None
    quiet_hours: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    previous_until: str | None


class NewWebhookSecretJson(WebhookJson):
    """An endpoint with its signing secret (`whsec_…`), which is shown only now."""

    secret: str


Match = Annotated[
    str,
    Field(
        description="Only incidents that match this filter; empty: all.",
        examples=["severity>=error"],
        json_schema_extra={"format": "filter", "maxLength": MAX_LENGTH},
    ),
]
Types = Annotated[
    list[parameters.Text] | None,
    Field(
        description="Only these; null: all.",
        json_schema_extra={"items": {"type": "string", "enum": list(TYPES)}, "minItems": 1},
    ),
]
MinSeverity = Annotated[
    parameters.Text | None,
    Field(description="Nothing below it; null: anything.", json_schema_extra={"enum": [*SEVERITIES, None]}),
]
Escalations = Annotated[bool, Field(description="False: it is not told what nobody has acknowledged in time.")]
RepeatS = Annotated[
    parameters.Whole | None,
    Field(
        description="Remind of what is open and not acknowledged, after so many seconds each time; null: never.",
        json_schema_extra={"minimum": LEAST_REPEAT_S, "maximum": MOST_REPEAT_S},
    ),
]
QuietHours = Annotated[
    Annotated[parameters.Text, WithJsonSchema({"type": "string", "format": "quiet-hours"})] | None,
    Field(
        description="When it is left alone, save with what is critical; told afterwards.",
        examples=["22:00-07:00 Europe/Berlin"],
    ),
]

RoutingKey = Annotated[parameters.Text, Field(json_schema_extra={"maxLength": 100, "pattern": ROUTING_KEY})]


class NewWebhook(parameters.Body):
    """An endpoint to add."""

    url: Annotated[
        str,
        Field(
            description="Where to POST.",
            examples=["https://example.com/hooks/drainwatch"],
            json_schema_extra={"format": "uri", "maxLength": URL_LENGTH},
        ),
    ]
    format: Annotated[
        parameters.Text, Field(description="The body's format.", json_schema_extra={"enum": list(FORMATS)})
    ] = "standard"
    match: Match = ""
    types: Types = None
    allow_private: Annotated[bool, Field(description="Allow private and loopback addresses.")] = False
    routing_key: Annotated[
        RoutingKey | None, Field(description="PagerDuty's integration key; for that format alone.")
    ] = None
    min_severity: MinSeverity = None
    escalations: Escalations = True
    repeat_s: RepeatS = None
    quiet_hours: QuietHours = None


class ChangedWebhook(parameters.Body):
    """What to change of an endpoint; what is not named stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    enabled: Annotated[bool, Field(description="False: tell it nothing more; true: tell it again from now on.")] = True
    match: Match = ""
    types: Types = None
    min_severity: MinSeverity = None
    escalations: Escalations = True
    repeat_s: RepeatS = None
    quiet_hours: QuietHours = None


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
        routing_key=body.routing_key,
        min_severity=_severity(body.min_severity),
        escalations=body.escalations,
        repeat_s=body.repeat_s,
        quiet_hours=body.quiet_hours,
    )
    return answer(_secret_json(added), 201)


@router.get("/webhooks/{id}", response_model=WebhookJson, summary="One webhook", responses=problems(404))
async def one_webhook(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The endpoint without its secret."""
    return answer(webhook_json(await endpoints.one(api_of(request).db, numbered(id, "webhook"))))


@router.patch("/webhooks/{id}", response_model=WebhookJson, summary="Change a webhook", responses=problems(404, 409))
async def change_webhook(request: Request, id: str, _: parameters.NoQuery, body: ChangedWebhook) -> JSONResponse:
    """The endpoint as it is then. What was owed to one that is disabled is not sent; what else is changed holds for what comes
    about from now on."""
    named = {name: getattr(body, name) for name in body.model_fields_set}
    if not named:
        raise Refused(400, "the body names nothing to change; expected some member of it", expected="some member")
    if "min_severity" in named:
        named["min_severity"] = _severity(body.min_severity)
    enabled = named.pop("enabled", None)
    db, number = api_of(request).db, numbered(id, "webhook")
    changed = await endpoints.change(db, number, named)
    if enabled is not None:
        changed = await (endpoints.enable if enabled else endpoints.disable)(db, number)
    return answer(webhook_json(changed))


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
    """An incident of the past, or a made-up one, is on its way, marked as a test; its deliveries tell what came of it."""
    api = api_of(request)
    queued = await endpoints.test(api.db, numbered(id, "webhook"), public_url=api.public_url)
    return answer(delivery_json(queued), 202)


@router.post(
    "/webhooks/{id}/rotate", response_model=NewWebhookSecretJson, summary="A new secret", responses=problems(404)
)
async def rotate_webhook(request: Request, id: str, _: parameters.NoQuery) -> JSONResponse:
    """The endpoint with a new secret, shown only now; the one before signs beside it for 24 h more."""
    return answer(_secret_json(await endpoints.rotate(api_of(request).db, numbered(id, "webhook"))))


def webhook_json(endpoint: Endpoint) -> WebhookJson:
    """An endpoint as a list shows it."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "format": endpoint.format,
        "match": endpoint.match,
        "types": list(endpoint.types) if endpoint.types is not None else None,
        "allow_private": endpoint.allow_private,
        "min_severity": endpoint.min_severity.label if endpoint.min_severity is not None else None,
        "escalations": endpoint.escalations,
        "repeat_s": endpoint.repeat_s,
        "quiet_hours": endpoint.quiet_hours,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": instant(endpoint.failing_since) if endpoint.failing_since else None,
        "created_at": instant(endpoint.created_at),
        "previous_until": instant(endpoint.previous_until) if endpoint.previous_until else None,
    }


def _severity(label: str | None) -> Severity | None:
    if label is None:
        return None
    if label not in SEVERITIES:
        expected = f"null, or one of {', '.join(SEVERITIES)}"
        raise Refused(
            400, f"min_severity is {label[:80]!r}; expected {expected}", parameter="min_severity", expected=expected
        )
    return Severity.of(label)


def _secret_json(made: NewSecret) -> NewWebhookSecretJson:
    return {**webhook_json(made.endpoint), "secret": made.secret}
