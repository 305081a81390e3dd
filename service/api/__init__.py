"""The query API: a router for each noun, and problem details for whatever is refused."""

from fastapi import FastAPI

from service.api import (
    apps,
    chunks,
    codes,
    deliveries,
    docs,
    doctor,
    drains,
    events,
    health,
    incidents,
    lines,
    metrics,
    quarantine,
    releases,
    rules,
    silences,
    stats,
    stream,
    tokens,
    traffic,
    webhooks,
)
from service.api.context import Api, remember
from service.api.openapi import describe
from service.api.problems import install_problems

ROUTERS = (
    stream.router,  # before `/events/{id}`, which would take `stream` for an id
    events.router,
    lines.router,
    chunks.router,
    incidents.reading,
    incidents.writing,
    silences.reading,
    silences.writing,
    stats.router,
    traffic.router,
    apps.router,
    releases.router,
    rules.router,
    codes.router,
    drains.router,
    webhooks.router,
    deliveries.router,
    tokens.router,
    quarantine.router,
    health.router,
    doctor.router,
    metrics.router,
    docs.router,
)

__all__ = ["ROUTERS", "Api", "install"]


def install(app: FastAPI, api: Api) -> None:
    """Lets `app` answer the API's requests out of `api`'s rooms, and refuse in problem details."""
    remember(app, api)
    app.router.redirect_slashes = False  # what is not there is a 404, and no way round the guard
    for router in ROUTERS:
        app.include_router(router)
    install_problems(app, ROUTERS)
    app.openapi = describe(app)  # type: ignore[method-assign]
