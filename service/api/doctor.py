"""Is all well? What is wrong with the service itself, why it matters, and what to type."""

from fastapi import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from service import doctor
from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of
from service.api.guard import guarded_router
from service.doctor import Facts, Finding
from service.wire.instant import instant

router = guarded_router("health", Scope.READ)


class FindingJson(TypedDict):
    """One thing that is wrong: its name as in docs/doctor.md, what is so, why it matters, and what to type, a line each."""

    name: str
    severity: str
    what: str
    why: str
    type: list[str]


class DoctorJson(TypedDict):
    """What is wrong with the service, the worst first, and what was looked at."""

    at: str
    findings: list[FindingJson]
    saw: list[str]


@router.get("/doctor", response_model=DoctorJson, summary="Is all well?")
async def examine(request: Request, _: parameters.NoQuery) -> JSONResponse:
    """Whether the database, the workers, the drains and the webhooks do what they should; without findings they do. While the
    database is away that is the finding, for a token of the settings."""
    api = api_of(request)
    facts = await doctor.gather(api.db, public_url=api.public_url)
    return answer(doctor_json(facts))


def doctor_json(facts: Facts) -> DoctorJson:
    """What is found in these facts."""
    return {
        "at": instant(facts.now),
        "findings": [finding_json(one) for one in doctor.findings(facts)],
        "saw": doctor.saw(facts),
    }


def finding_json(finding: Finding) -> FindingJson:
    """One finding."""
    return {
        "name": finding.name,
        "severity": finding.severity.label,
        "what": finding.what,
        "why": finding.why,
        "type": list(finding.type),
    }
