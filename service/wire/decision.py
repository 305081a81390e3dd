"""A decision's JSON, and the answer to "why was nobody told at that time"."""

from typing_extensions import TypedDict

from service.store.decisions import Explained
from service.wire.incident import IncidentGistJson
from service.wire.instant import instant
from service.wire.silence import SilenceJson


class DecisionJson(TypedDict):
    """Whether a step was told at a webhook (null: hushed everywhere), and why or why not.

    `step` is the timeline's and `number` its number; null and 0 for a reminder, and where it was only found to be hushed still.
    A reminder that is held back is said once for each reason. `type` is the notification's; `says` the whole sentence.
    """

    at: str
    incident_id: str
    number: int
    step: str | None
    type: str
    webhook_id: int | None
    told: bool
    reason: str
    says: str


class ExplainedIncidentJson(IncidentGistJson):
    """An incident that stood at that time, and what was decided of it until then."""

    decisions: list[DecisionJson]


class ExplanationJson(TypedDict):
    """Why somebody was told, or nobody, of an app at a time: `says` in words; the incidents that stood then, with what was
    decided; the silences in force then."""

    app: str
    at: str
    says: str
    incidents: list[ExplainedIncidentJson]
    silences: list[SilenceJson]


def decision_json(explained: Explained) -> DecisionJson:
    """One decision."""
    made = explained.decision
    where = f"webhook {made.endpoint_id} was" if made.endpoint_id is not None else "it was"
    return {
        "at": instant(made.at),
        "incident_id": str(made.incident_id),
        "number": made.number,
        "step": explained.step,
        "type": made.type,
        "webhook_id": made.endpoint_id,
        "told": made.told,
        "reason": made.reason,
        "says": f"{where} {'' if made.told else 'not '}told, for {made.reason}",
    }
