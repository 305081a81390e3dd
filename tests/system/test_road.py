"""The whole road with whole processes: a frame is posted, a signed webhook arrives; and what a kill leaves behind."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from door import basic
from processes import Service, end_postgres, eventually, free_port, run, service
from receiver import Receiver
from service.store import schema
from service.store.embedded import EmbeddedPostgres
from vocabulary import crash, exited, frame_of, memory_quota, message, router_line, state, up

APP = "raxx-api-prod"


@pytest.fixture
async def home(open_folder: Path) -> AsyncIterator[Path]:
    """A DRAINWATCH_HOME of its own; no Postgres of it is left running."""
    yield open_folder / "home"
    await end_postgres(open_folder / "home")


async def post(served: Service, secret: str, body: bytes, *, frame_id: str, app: str = APP) -> int:
    """Posts one frame, again while nobody listens, as Logplex would; the status."""
    headers = {
        "Authorization": basic(app, secret),
        "Content-Type": "application/logplex-1",
        "Logplex-Frame-Id": frame_id,
    }
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await served.client.post("/drain", content=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code < 500:
                return answer.status_code


async def drain_secret(served: Service, app: str = APP, environment: str = "production") -> str:
    drain = await served.post("/v1/drains", {"app": app, "environment": environment})
    assert drain["command"] == f"heroku drains:add {drain['url']} -a {app}"
    return str(drain["secret"])


def looping(now: datetime) -> bytes:
    """Two crashes with no stable time between them."""
    ago = [now - timedelta(seconds=seconds) for seconds in (9, 8, 7, 6, 5)]
    return frame_of(
        exited("web.1", 1, ago[0]),
        crash("web.1", ago[1], before="starting"),
        state("web.1", "crashed", "starting", ago[2]),
        exited("web.1", 1, ago[3]),
        crash("web.1", ago[4], before="starting"),
    )


async def test_a_crash_loop_reaches_a_receiver_signed_and_can_be_looked_up(home: Path) -> None:
    async with Receiver() as receiver, service("serve", home=home) as served:
        served.start()
        await served.ready()
        hook = await served.post("/v1/webhooks", {"url": receiver.url, "allow_private": True})
        secret = await drain_secret(served)
        assert await post(served, secret, looping(datetime.now(UTC)), frame_id="A") == 204
        [request] = await receiver.received(1)
        told = Webhook(hook["secret"]).verify(request.body, request.headers)
        assert told["type"] == "incident.opened"
        incident = told["data"]["incident"]
        assert (incident["rule"], incident["subject"], incident["severity"]) == ("crash_loop", "web", "critical")
        [kept] = (await served.get("/v1/incidents"))["items"]
        assert kept["id"] == incident["id"]
        await eventually(
            lambda: served.get(f"/v1/webhooks/{hook['id']}/deliveries"),
            lambda found: [one["status"] for one in found["items"]] == ["delivered"],
        )
        await served.post(f"/v1/incidents/{kept['id']}/acknowledge", {"version": kept["version"]}, status=200)
        second = (await receiver.received(2))[1]
        assert json.loads(second.body)["type"] == "incident.acknowledged"
        assert await served.end() == 0


async def test_what_was_posted_is_in_the_lists_with_its_fields(home: Path) -> None:
    now = datetime.now(UTC)
    async with service("serve", home=home) as served:
        served.start()
        await served.ready()
        production, staging = await drain_secret(served), await drain_secret(served, "raxx-api-staging", "staging")
        memory = message(
            "app", "web.1", "webauthn.challenge_stored store=memory user_id=7 challenge_hash=3fa94c1b", now
        )
        lines = (router_line(now, code="H12", path="/api/x", service="30001ms"), router_line(now, code="H10"))
        await post(served, production, frame_of(*lines, memory_quota("web.1", now), memory), frame_id="A")
        await post(served, staging, frame_of(memory), frame_id="B", app="raxx-api-staging")
        errors = {one["code"]: one for one in (await served.get("/v1/errors", app=APP))["items"]}
        assert set(errors) == {"H12", "H10", "R14", None}
        assert errors["H12"]["fields"]["service_ms"] == 30001
        assert errors["H12"]["fields"]["path"] == "/api/x"
        assert errors["H10"]["dyno"] is None or errors["H10"]["dyno"] == ""
        assert errors["R14"]["fields"]["mem_mb"] == 589
        assert errors[None]["severity"] == "critical"
        assert errors[None]["flags"] == ["memory_store_on_production"]
        [event] = (await served.get("/v1/events", app="raxx-api-staging", kind="webauthn"))["items"]
        assert (event["severity"], event["flags"]) == ("info", [])
        assert await served.end() == 0


async def test_sigterm_ends_a_service_with_0_and_loses_nothing_that_was_answered(home: Path) -> None:
    async with service("serve", home=home) as served:
        served.start()
        await served.ready()
        secret = await drain_secret(served)
        now = datetime.now(UTC)
        posts = [
            asyncio.create_task(
                served.client.post(
                    "/drain",
                    content=frame_of(message("app", "web.1", f"line {number}", now)),
                    headers={
                        "Authorization": basic(APP, secret),
                        "Content-Type": "application/logplex-1",
                        "Logplex-Frame-Id": str(number),
                    },
                )
            )
            for number in range(50)
        ]
        await asyncio.sleep(0.02)
        assert await served.end() == 0
        answers = await asyncio.gather(*posts, return_exceptions=True)
        taken = sum(isinstance(one, httpx.Response) and one.status_code == 204 for one in answers)
        served.start()
        await served.ready()
        assert len((await served.get("/v1/lines", app=APP, limit=1000))["items"]) >= taken
        assert await served.end(number=signal.SIGINT) in (0, 130)


def story(now: datetime) -> list[bytes]:
    """An hour of an app in 60 frames: requests, memory running out, a crash loop, and its end."""
    frames = []
    for minute in range(60):
        at = now - timedelta(minutes=60 - minute)
        lines = [router_line(at + timedelta(seconds=second), request_id=f"{minute}-{second}") for second in range(10)]
        if 10 <= minute < 14:
            lines.append(memory_quota("web.1", at + timedelta(seconds=20)))
        if minute in (20, 25):
            lines.append(exited("web.1", 1, at + timedelta(seconds=30)))
            lines.append(crash("web.1", at + timedelta(seconds=31)))
            lines.append(state("web.1", "crashed", "starting", at + timedelta(seconds=32)))
        if minute == 30:
            lines.append(up("web.1", at + timedelta(seconds=40)))
        frames.append(frame_of(*lines))
    return frames


async def told(served: Service, *, until: int) -> tuple[Any, Any]:
    """What the service has found, once it has caught up and found `until` incidents."""
    found = await eventually(
        lambda: served.get("/v1/incidents"),
        lambda found: len(found["items"]) >= until and all(one["status"] == "resolved" for one in found["items"]),
    )
    events = (await served.get("/v1/events", app=APP, limit=1000))["items"]
    return (
        sorted(
            (one["rule"], one["opened_at"], one["resolved_at"], one["count"], one["severity"]) for one in found["items"]
        ),
        sorted((one["ts"], one["kind"], one["message"]) for one in events),
    )


async def test_a_kill_in_the_middle_of_a_replay_changes_nothing_of_what_is_found(open_folder: Path) -> None:
    frames = story(datetime.now(UTC))
    found = []
    for name, kills in (("undisturbed", ()), ("killed", (15, 27, 45))):
        home = open_folder / name
        try:
            async with service("serve", home=home) as served:
                served.start()
                await served.ready()
                secret = await drain_secret(served)
                for number, body in enumerate(frames):
                    posting = asyncio.create_task(post(served, secret, body, frame_id=str(number)))
                    if number in kills:
                        await asyncio.sleep(0.003)
                        served.kill_group()
                        if number == kills[-1]:
                            await end_postgres(home)
                        served.start()
                    assert await posting == 204
                found.append(await told(served, until=2))
                assert await served.end() == 0
        finally:
            await end_postgres(home)
    undisturbed, killed = found
    assert undisturbed == killed
    assert [one[0] for one in undisturbed[0]] == ["crash_loop", "memory_quota"]


async def test_while_the_database_is_away_posts_are_held_and_then_refused_and_all_is_well_within_two_seconds_of_its_return(
    home: Path, open_folder: Path
) -> None:
    postgres = EmbeddedPostgres(open_folder / "database")
    url = await postgres.start()
    try:
        await schema.migrate(url)
        async with service("serve", home=home, DATABASE_URL=url) as served:
            served.start()
            await served.ready()
            secret = await drain_secret(served)
            line = frame_of(message("app", "web.1", "hello", datetime.now(UTC)))
            assert await post(served, secret, line, frame_id="before") == 204
            await postgres.stop()
            headers = {"Authorization": basic(APP, secret), "Content-Type": "application/logplex-1"}
            began = asyncio.get_running_loop().time()
            held = await served.client.post("/drain", content=line, headers={**headers, "Logplex-Frame-Id": "held"})
            took = asyncio.get_running_loop().time() - began
            assert held.status_code == 503
            assert 3.5 < took < 4.5
            assert (await served.client.get("/v1/errors")).status_code == 503
            await postgres.start()
            async with asyncio.timeout(2):
                assert await post(served, secret, line, frame_id="after") == 204
            assert len((await served.get("/v1/lines", app=APP))["items"]) == 2
            assert await served.end() == 0
    finally:
        await postgres.stop()


async def test_a_process_on_an_old_schema_says_so_in_one_line_and_stops(embedded_server: Any, home: Path) -> None:
    url = embedded_server.url("postgres")  # where nothing was ever migrated
    for command in ("web", "worker"):
        refused = await asyncio.to_thread(run, command, home=home, DATABASE_URL=url, PORT=str(free_port()))
        assert refused.returncode == 1
        assert len(refused.stderr.strip().splitlines()) == 1
        assert "drainwatch migrate" in refused.stderr


@pytest.mark.parametrize(
    ("environment", "config", "said"),
    [
        ({"PORT": "eighty"}, None, ["PORT", "eighty"]),
        ({"DRAINWATCH_MAX_BODY": "10Mib!"}, None, ["DRAINWATCH_MAX_BODY", "10Mib!"]),
        ({"DRAINWATCH_PUBLIK_URL": "x"}, None, ["DRAINWATCH_PUBLIK_URL", "DRAINWATCH_PUBLIC_URL"]),
        ({}, '[[rules]]\nname = "crash_loop"\nstable = "soon"\n', ["crash_loop", "stable", "soon"]),
        ({}, '[[rules]]\nname = "request_timeouts"\nmatch = "code:"\n', ["request_timeouts", "match", "code:"]),
        ({}, "[[rules]\n", ["drainwatch.toml", "line 1"]),
    ],
    ids=["port", "size", "unknown setting", "wrong rule", "wrong filter", "wrong TOML"],
)
async def test_a_wrong_setting_or_rule_stops_the_start_with_one_line_that_names_it(
    home: Path, tmp_path: Path, environment: dict[str, str], config: str | None, said: list[str]
) -> None:
    if config:
        (tmp_path / "drainwatch.toml").write_text(config)
        environment = {**environment, "DRAINWATCH_CONFIG": str(tmp_path / "drainwatch.toml")}
    refused = await asyncio.to_thread(run, "serve", home=home, **{"PORT": str(free_port()), **environment})
    assert refused.returncode == 1
    [line] = refused.stderr.strip().splitlines()
    assert all(one in line for one in said), line
