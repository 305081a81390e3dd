"""Releases and promotions, as the logs tell of them."""

from typing import Annotated, Any

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, reached
from service.api.guard import guarded_router
from service.store import apps, promotions, releases
from service.store.pages import read_cursor
from service.store.promotions import Promotion
from service.store.releases import Release
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("releases", Scope.READ, of_apps=True)


class ReleaseJson(TypedDict):
    """A release. `action` (`deploy`, `config_set`, `rollback`, …) and `description` say what was done; null where only the
    version was logged."""

    app: str
    environment: str
    version: str
    action: str | None
    description: str | None
    commit: str | None
    config_keys: list[str]
    actor: str | None
    released_at: str


class PromotionJson(TypedDict):
    """A flag's promotion, as the console `app` logs it: the newest that its lines say. `ended_at` is null while it is under
    way."""

    app: str
    environment: str
    promotion_id: str
    flag_key: str | None
    target_app: str | None
    state: str | None
    new_value: Any
    reason: str | None
    started_at: str
    updated_at: str
    ended_at: str | None


class ReleaseQuery(parameters.Query):
    """Which releases."""

    app: parameters.App = None
    environment: parameters.Environment = None
    since: parameters.Since = None
    until: parameters.Until = None
    limit: parameters.Limit = 100
    cursor: parameters.Cursor = None


class PromotionQuery(ReleaseQuery):
    """Which promotions; `since` and `until` go by their first line."""

    state: parameters.State = None


@router.get("/releases", response_model=PageJson[ReleaseJson], summary="Releases")
async def list_releases(request: Request, query: Annotated[ReleaseQuery, FromQuery()]) -> JSONResponse:
    """Releases, newest first: an app's first one in the list is what it runs."""
    after = read_cursor(query.cursor, of="releases") if query.cursor else None
    async with api_of(request).db.read() as conn:
        known = reached(request, await apps.known(conn, name=query.app, environment=query.environment))
        page = await releases.latest(conn, known, since=query.since, until=query.until, after=after, limit=query.limit)
    return answer(page_json(page, release_json, of="releases"))


@router.get("/promotions", response_model=PageJson[PromotionJson], summary="Promotions")
async def list_promotions(request: Request, query: Annotated[PromotionQuery, FromQuery()]) -> JSONResponse:
    """Promotions of flags and how far they are, by when they began, newest first."""
    after = read_cursor(query.cursor, of="promotions") if query.cursor else None
    async with api_of(request).db.read() as conn:
        known = reached(request, await apps.known(conn, name=query.app, environment=query.environment))
        page = await promotions.latest(
            conn, known, state=query.state, since=query.since, until=query.until, after=after, limit=query.limit
        )
    return answer(page_json(page, promotion_json, of="promotions"))


def release_json(release: Release) -> ReleaseJson:
    """A release as a list shows it."""
    return {
        "app": release.app.name,
        "environment": release.app.environment,
        "version": f"v{release.version}",
        "action": release.action,
        "description": release.description,
        "commit": release.fields.get("commit"),
        "config_keys": release.fields.get("config_keys", []),
        "actor": release.actor,
        "released_at": instant(release.at),
    }


def promotion_json(promotion: Promotion) -> PromotionJson:
    """A promotion as a list shows it."""
    return {
        "app": promotion.app.name,
        "environment": promotion.app.environment,
        "promotion_id": promotion.id,
        "flag_key": _text(promotion.fields.get("flag_key")),
        "target_app": _text(promotion.fields.get("target_app")),
        "state": _text(promotion.fields.get("state")),
        "new_value": promotion.fields.get("new_value"),
        "reason": _text(promotion.fields.get("reason")),
        "started_at": instant(promotion.started_at),
        "updated_at": instant(promotion.updated_at),
        "ended_at": instant(promotion.ended_at) if promotion.ended_at else None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
