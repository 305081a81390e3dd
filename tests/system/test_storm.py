"""A storm through whole processes: thirty apps fail within a moment, one worker tells of it over a real socket. A few pages and
a digest, each incident named once, and over where it was told as opened, there alone."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from door import basic
from processes import Service, database, eventually, service
from receiver import Receiver
from told import ids_of_each
from vocabulary import frame_of, message

APPS = [f"shop-{number:02}" for number in range(30)]
OVER = APPS[::3]  # those whose flag is promoted again
SILENCED, ALONE = OVER[0], OVER[1]  # hushed; and the one that an endpoint of its own asks for
MOST_PAGES = 10  # of an endpoint in a minute, beyond which it is a digest (DESIGN section 5)
OPENED, RESOLVED = "incident.opened", "incident.resolved"


def promotion(action: str, reason: str = "") -> bytes:
    said = f"console.flag.promotion.{action} promotion_id=7 flag_key=dark state={action} {reason}"
    now = datetime.now(UTC) - timedelta(milliseconds=5)
    return frame_of(message("app", "web.1", f"INFO console.flags: {said}", now))


async def post(web: Service, app: str, secret: str, body: bytes) -> None:
    headers = {"Authorization": basic(app, secret), "Content-Type": "application/logplex-1"}
    answer = await web.client.post("/drain", content=body, headers=headers)
    assert answer.status_code == 204, answer.text


async def incidents(web: Service, status: str) -> dict[str, str]:
    """The incidents of that status, by app."""
    found = await web.get("/v1/incidents", status=status, limit=100)
    return {one["app"]: one["id"] for one in found["items"]}


async def told(receiver: Receiver, step: str) -> set[str]:
    """The incidents that were told so."""
    return {incident for incident, type in ids_of_each(receiver) if type == step}


async def test_thirty_apps_that_fail_at_once_are_a_few_pages_and_a_digest_and_each_is_named_once(
    open_folder: Path,
) -> None:
    async with (
        database(open_folder / "database") as url,
        service("web", home=open_folder / "web", DATABASE_URL=url) as web,
        service("worker", home=open_folder / "worker", DATABASE_URL=url) as worker,
        Receiver() as all_of_it,
        Receiver() as of_one,
    ):
        web.start()
        worker.start()
        await web.ready()
        await web.post("/v1/webhooks", {"url": all_of_it.url, "allow_private": True})
        await web.post("/v1/webhooks", {"url": of_one.url, "allow_private": True, "match": f"app:{ALONE}"})
        ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await web.post("/v1/silences", {"match": f"app:{SILENCED}", "ends_at": ends_at, "comment": "it moves"})
        drains = [await web.post("/v1/drains", {"app": app, "environment": "production"}) for app in APPS]
        secrets = {drain["app"]: drain["secret"] for drain in drains}

        failed = promotion("failed", 'reason="FAILED: 403"')
        await asyncio.gather(*(post(web, app, secrets[app], failed) for app in APPS))
        opened = await eventually(lambda: incidents(web, "open"), lambda found: len(found) == len(APPS))
        loud = {id for app, id in opened.items() if app != SILENCED}
        await eventually(lambda: told(all_of_it, OPENED), lambda found: found == loud)
        kinds = [json.loads(request.body)["type"] for request in all_of_it.requests]
        assert 1 <= kinds.count("incidents.digest") <= 2, kinds
        assert kinds.count(OPENED) <= MOST_PAGES, kinds

        await asyncio.gather(*(post(web, app, secrets[app], promotion("deployed")) for app in OVER))
        over = await eventually(lambda: incidents(web, "resolved"), lambda found: len(found) == len(OVER))
        ended = loud & set(over.values())
        await eventually(lambda: told(all_of_it, RESOLVED), lambda found: found == ended)
        await eventually(lambda: told(of_one, RESOLVED), lambda found: found == {over[ALONE]})
        owed = [one for id in (1, 2) for one in (await web.get(f"/v1/webhooks/{id}/deliveries", limit=1000))["items"]]
        why = (await web.get(f"/v1/incidents/{opened[SILENCED]}/decisions"))["items"]

    assert {one["status"] for one in owed} == {"delivered"}
    once = dict.fromkeys([(id, OPENED) for id in loud] + [(id, RESOLVED) for id in ended], 1)
    assert ids_of_each(all_of_it) == once
    assert ids_of_each(of_one) == {(over[ALONE], OPENED): 1, (over[ALONE], RESOLVED): 1}
    assert [(one["step"], one["told"]) for one in why] == [("opened", False), ("resolved", False)]
