"""Whether the process lives, and whether it can do its work. Open to all; says nothing that a stranger could use."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service.api.context import answer, api_of
from service.api.problems import problems
from service.errors import Refused, SettingError, StoreAway
from service.store import schema

router = APIRouter(tags=["health"])


class HealthJson(TypedDict):
    """All is well."""

    status: str


@router.get("/healthz", response_model=HealthJson, summary="Is the process alive?")
@router.head("/healthz", include_in_schema=False)
async def healthz() -> JSONResponse:
    """Answers as long as the process does; asks nothing else."""
    return answer({"status": "ok"})


@router.get("/readyz", response_model=HealthJson, summary="Can it do its work?", responses=problems(503))
@router.head("/readyz", include_in_schema=False)
async def readyz(request: Request) -> JSONResponse:
    """200 when the database can be reached and has the schema this version needs, else 503."""
    try:
        async with api_of(request).db.read() as conn:
            await schema.check(conn)
    except (StoreAway, SettingError) as error:
        what = "the database is away" if isinstance(error, StoreAway) else "the database's schema is another version's"
        raise Refused(503, f"not ready: {what}") from error
    return answer({"status": "ready"})
