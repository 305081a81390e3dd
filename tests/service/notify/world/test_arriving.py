"""What arrives in each format, by the road that everything goes: has it the shape that the service documents?"""

import json

import pytest

from receiver import Receiver
from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from ..formats import documented
from ..formats.shape import wrong
from ..outbox import PUBLIC_URL, add, keep, rounds, step

SHAPES = {
    "slack": documented.SLACK,
    "discord": documented.DISCORD,
    "teams": documented.TEAMS,
    "pagerduty": documented.PAGERDUTY,
    "apprise": documented.APPRISE,
}


@pytest.mark.parametrize("format", SHAPES)
async def test_steps_and_tests_arrive_as_the_service_documents_it(
    db: Database, deliverer: Deliverer, format: str
) -> None:
    key = {"routing_key": "0123456789abcdef0123456789abcdef"} if format == "pagerduty" else {}
    async with Receiver() as receiver:
        endpoint = (await add(db, receiver.url, format=format, **key)).endpoint
        await keep(db)
        for number, kind in enumerate(("opened", "acknowledged", "raised", "resolved", "reopened"), 1):
            await step(db, kind, number, status="resolved" if kind == "resolved" else "open")
            await rounds(deliverer)
        await endpoints.test(db, endpoint.id, public_url=PUBLIC_URL)
        await deliverer.round()

    assert len(receiver.requests) == 6
    for request in receiver.requests:
        assert wrong(json.loads(request.body), SHAPES[format]) == []
        assert request.headers["content-type"] == "application/json"
