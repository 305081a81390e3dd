"""The heartbeat of a whole process: its setting leads to a request, and its URL to no line of the log."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from processes import end_postgres, run, service
from receiver import Receiver


@pytest.fixture
async def home(open_folder: Path) -> AsyncIterator[Path]:
    """A DRAINWATCH_HOME of its own; no Postgres of it is left running."""
    yield open_folder / "home"
    await end_postgres(open_folder / "home")


async def test_a_service_calls_its_heartbeat_and_logs_nothing_of_its_url(home: Path) -> None:
    async with Receiver() as receiver:
        url = f"{receiver.url}/canary"
        async with service("serve", home=home, DRAINWATCH_HEARTBEAT_URL=url) as served:
            served.start()
            await served.ready()
            [request] = (await receiver.received(1))[:1]
            [shown] = (await served.get("/v1/webhooks"))["items"]
            assert await served.end() == 0
            said = served.said()

    assert (request.path, json.loads(request.body)["type"]) == ("/hook/canary", "heartbeat")
    assert (shown["format"], shown["url"]) == ("heartbeat", f"http://127.0.0.1:{receiver.port}/…")
    assert "delivery.delivered" in said
    assert "canary" not in said


def test_a_heartbeat_that_is_no_url_ends_the_start_with_one_line(open_folder: Path) -> None:
    ran = run("serve", home=open_folder / "home", DRAINWATCH_HEARTBEAT_URL="canary")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("drainwatch: DRAINWATCH_HEARTBEAT_URL cannot be used; expected an http or https URL")
    assert "canary" not in ran.stderr
