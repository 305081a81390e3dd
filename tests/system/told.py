"""What a receiver was told: of which incident which step, under how many ids."""

import json
from collections import defaultdict

from receiver import Receiver


async def resolutions(receiver: Receiver) -> set[str]:
    """The incidents that were told as resolved."""
    return {incident for incident, step in ids_of_each(receiver) if step == "incident.resolved"}


def ids_of_each(receiver: Receiver) -> dict[tuple[str, str], int]:
    """Incident and step → under how many ids it was told; a digest tells of each incident as it is by then."""
    ids = defaultdict(set)
    for request in receiver.requests:
        told = json.loads(request.body)
        for one in told["data"].get("incidents", []):
            ids[one["id"], "incident.resolved" if one["status"] == "resolved" else "incident.opened"].add(request.id)
        if "incident" in told["data"]:
            ids[told["data"]["incident"]["id"], told["type"]].add(request.id)
    return {step: len(found) for step, found in ids.items()}
