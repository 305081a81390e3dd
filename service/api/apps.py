"""Apps and dynos, as the logs tell of them."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, reached
from service.api.guard import guarded_router
from service.api.releases import ReleaseJson, release_json
from service.store import apps, dynos, incidents, releases
from service.store.apps import App
from service.store.dynos import Dyno
from service.store.pages import Page
from service.wire.instant import instant
from service.wire.page import PageJson, page_json

router = guarded_router("apps", Scope.READ, of_apps=True)


class UnresolvedJson(TypedDict):
    """An app's incidents that are not resolved: how many, and how bad the worst is."""

    count: int
    severity: str | None


class AppJson(TypedDict):
    """An app. `heard_at` is when its last lines came; what the logs have not told is null: its `release`, `formation` as last
    scaled, whether it is in `maintenance`. `dynos` counts them by state."""

    app: str
    environment: str
    heard_at: str | None
    release: ReleaseJson | None
    formation: str | None
    maintenance: bool | None
    dynos: Mapping[str, int]
    incidents: UnresolvedJson


class DynoJson(TypedDict):
    """A dyno and its `state` since `since`; `exit_status` is how its process last ended, `crashes` how often it crashed in the
    last two days."""

    app: str
    environment: str
    dyno: str
    process_type: str
    state: str
    since: str
    exit_status: int | None
    crashes: int


class AppQuery(parameters.Query):
    """Which apps."""

    app: parameters.App = None
    environment: parameters.Environment = None


class DynoQuery(AppQuery):
    """Which dynos."""

    state: parameters.State = None


@router.get("/apps", response_model=PageJson[AppJson], summary="Apps")
async def list_apps(request: Request, query: Annotated[AppQuery, FromQuery()]) -> JSONResponse:
    """All apps by name, each as its logs say that it is."""
    async with api_of(request).db.read() as conn:
        known = reached(request, await apps.known(conn, name=query.app, environment=query.environment))
        heard = await apps.heard(conn, known)
        current = await releases.current(conn, known)
        scaled = await releases.newest_fields(conn, known, ("scaled",))
        maintenance = await releases.newest_fields(conn, known, ("maintenance_on", "maintenance_off"))
        states: dict[int, Counter[str]] = {app_id: Counter() for app_id in known}
        for dyno in await dynos.current(conn, known):
            states[dyno.app_id][dyno.state] += 1
        unresolved = await incidents.unresolved(conn, known)

    def app_json(app: App) -> AppJson:
        count, severity = unresolved.get(app.id, (0, None))
        return {
            "app": app.name,
            "environment": app.environment,
            "heard_at": instant(heard[app.id]) if app.id in heard else None,
            "release": release_json(current[app.id]) if app.id in current else None,
            "formation": scaled[app.id].get("formation") if app.id in scaled else None,
            "maintenance": maintenance[app.id]["action"] == "maintenance_on" if app.id in maintenance else None,
            "dynos": states[app.id],
            "incidents": {"count": count, "severity": severity.label if severity else None},
        }

    found = tuple(sorted(known.values(), key=lambda app: app.name))
    return answer(page_json(Page(found, None), app_json, of="apps"))


@router.get("/dynos", response_model=PageJson[DynoJson], summary="Dynos")
async def list_dynos(request: Request, query: Annotated[DynoQuery, FromQuery()]) -> JSONResponse:
    """The dynos that have said something within the last two days, by app and name; one-off dynos that are complete only
    where `state` asks for them."""
    async with api_of(request).db.read() as conn:
        known = reached(request, await apps.known(conn, name=query.app, environment=query.environment))
        found = await dynos.current(conn, known, state=query.state)

    def dyno_json(dyno: Dyno) -> DynoJson:
        app = known[dyno.app_id]
        return {
            "app": app.name,
            "environment": app.environment,
            "dyno": dyno.name,
            "process_type": dyno.process_type,
            "state": dyno.state,
            "since": instant(dyno.since),
            "exit_status": dyno.exit_status,
            "crashes": dyno.crashes,
        }

    in_order = tuple(sorted(found, key=lambda dyno: (known[dyno.app_id].name, dyno.process_type, _number(dyno.name))))
    return answer(page_json(Page(in_order, None), dyno_json, of="dynos"))


def _number(name: str) -> tuple[int, str]:
    """So that `web.10` comes after `web.9`."""
    digits = name.rpartition(".")[2]
    return (int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0, name)
