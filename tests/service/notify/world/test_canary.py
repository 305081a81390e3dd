"""An endpoint's URL, secrets and routing key are in nothing that anybody reads: logs, errors, answers of the API, metrics."""

import base64
import socket

import httpx
import pytest
from fastapi import FastAPI

from receiver import Receiver, answer, nonsense, reset
from service import api
from service.access import Access
from service.api import Api
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.store import endpoints as rows
from service.store.database import Database

from ..outbox import PUBLIC_URL, SYSTEM_TLS, after, incident_id, rounds, step

CANARY = "canary"
# Secrets that would be seen also where only their bytes are shown.
SECRET, PREVIOUS = (f"whsec_{base64.b64encode((CANARY * 4 + end).encode()).decode()}" for end in "ab")


async def test_no_secret_of_an_endpoint_is_readable_anywhere(
    db: Database, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    scripts = [
        answer(500, body=f"no {CANARY}-key at /{CANARY}?{CANARY}={CANARY}".encode()),
        reset,
        nonsense,
        answer(302, {"Location": "http://10.0.0.1/"}),
        answer(410),
    ]
    async with Receiver(scripts) as receiver, WayOut(resolve=no_such_name, tls=SYSTEM_TLS) as way_out:
        async with db.begin() as conn:
            for host in (f"127.0.0.1:{receiver.port}", f"{CANARY}.example.test"):
                row = await rows.add(
                    conn,
                    url=f"http://{host}/{CANARY}?{CANARY}={CANARY}",
                    secret=PREVIOUS,
                    format="pagerduty",
                    match="",
                    types=None,
                    allow_private=True,
                    routing_key=f"{CANARY}-key",
                )
                await rows.replace_secret(conn, row.id, secret=SECRET, previous_until=after(86_400))
        deliverer = Deliverer(db, way_out, public_url=PUBLIC_URL, chance=lambda: 0.0)
        await step(db, "opened")
        for seconds in (0, 10, 40, 100, 300):
            await rounds(deliverer, at=after(seconds))
        answers = await everything_that_is_answered(db)
        output = capfd.readouterr()

    assert len(receiver.requests) == 5
    assert all(CANARY.encode() in one.body for one in receiver.requests)  # it did go there
    # A host is shown, and a name that is one: the second endpoint's.
    told = f"{output.out}{output.err}{caplog.text}{answers}".replace(f"http://{CANARY}.example.test/…", "")
    for secret in (CANARY, SECRET, PREVIOUS, SECRET.removeprefix("whsec_"), PREVIOUS.removeprefix("whsec_")):
        assert secret not in told


async def everything_that_is_answered(db: Database) -> str:
    """Each answer that has to do with webhooks, errors too."""
    app = FastAPI(docs_url=None)
    api.install(app, Api(db=db, access=Access(db, admin_token="dw_admin"), public_url=PUBLIC_URL))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer dw_admin"}
    said = []
    async with httpx.AsyncClient(transport=transport, base_url="http://drainwatch", headers=headers) as http:
        for path in (
            "/v1/webhooks",
            "/v1/webhooks/1",
            "/v1/webhooks/1/deliveries",
            "/v1/webhooks/2/deliveries",
            "/metrics",
        ):
            said.append(await http.get(path))  # noqa: PERF401 - one after the other
        said.append(await http.post("/v1/webhooks/1/test"))
        said.append(await http.patch("/v1/webhooks/1", json={"enabled": False}))
        said.append(await http.post(f"/v1/deliveries/{incident_id()}/redeliver"))
        for wrong in (
            {"url": f"http://10.0.0.1/{CANARY}"},
            {"url": f"http://{CANARY}:{CANARY}@example.com/"},
            {"url": f"ftp://example.com/{CANARY}"},
            {"url": f"tgram://{CANARY}/1", "format": "apprise", "allow_private": True},
            {"url": "https://example.com/", "routing_key": f"{CANARY}-key"},
            {"url": "https://example.com/", "format": "pagerduty", "routing_key": f"{CANARY} key"},
        ):
            refused = await http.post("/v1/webhooks", json=wrong)
            assert refused.status_code == 400
            said.append(refused)
    assert "drainwatch_deliveries_overdue" in said[4].text
    return "\n".join(one.text for one in said)


async def no_such_name(host: str) -> list[str]:
    if host == "127.0.0.1":
        return [host]
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
