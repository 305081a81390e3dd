"""Secrets planted in every kind of line are in no table, no log, no answer and no webhook; the lines themselves are there."""

import gzip
import re
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import zstandard

from door import basic
from keeping import SAMPLES
from processes import eventually, service
from receiver import Receiver
from service.store.embedded import EmbeddedPostgres
from vocabulary import boot_timeout, frame_of, message, router_text

APP = "raxx-api-prod"
# No word of ours, nor of any sample; with a capital and digits, as secrets have.
PLANTED = "Zq7planted9Xw4canary"
# Where a secret may stand in any text.
FORMS = (
    f"password={PLANTED}",
    f"Authorization: Bearer {PLANTED}",
    f"DATABASE_URL=postgres://owner:{PLANTED}@db.example.com/app",
    f'{{"api_key": "{PLANTED}"}}',
    f"client_secret='{PLANTED}'",
    f"https://hooks.example.com/x?token={PLANTED}&page=1",
)
ANSWERS = ("events", "errors", "lines", "quarantine", "incidents", "releases", "dynos", "promotions", "apps", "traffic")


def sampled() -> list[tuple[str, str, str]]:
    """Source, process and text of every sample line."""
    lines = "".join(path.read_text() for path in sorted((SAMPLES / "lines").glob("*.txt")))
    return re.findall(r"^(\w[\w-]*)\[(\S+)\] (.*)$", lines, re.MULTILINE)


def planted(now: datetime) -> list[bytes]:
    """Each sample line with a secret in it, where its writer could put one; and what else an app may write."""
    forms = cycle(FORMS)
    found = []
    for source, process, text in sampled():
        if process == "router":  # a client writes the path, and nothing else that is free
            text = re.sub(r'path="[^"]*"', f'path="/login?token={PLANTED}"', text)
            if PLANTED not in text:
                continue
        else:
            text = f"{text} {next(forms)}"
        found.append(message(source, process, text, now))
    trace = ("Traceback (most recent call last):", '  File "a.py", line 1, in f', f"ValueError: password={PLANTED}")
    key = ("-----BEGIN RSA PRIVATE KEY-----", f"MIIE{PLANTED}", "-----END RSA PRIVATE KEY-----")
    found += [message("app", "web.1", text, now) for text in (*trace, *key, *FORMS)]
    found.append(message("heroku", "router", router_text(path=f"/x?api_key={PLANTED}", status=503), now))
    return found


async def test_a_planted_secret_is_nowhere_and_the_lines_are_there(open_folder: Path) -> None:
    now = datetime.now(UTC)
    postgres = EmbeddedPostgres(open_folder / "database")
    url = await postgres.start()
    try:
        async with (
            Receiver() as receiver,
            service("serve", home=open_folder / "home", DATABASE_URL=url) as served,
        ):
            served.start()
            await served.ready()
            await served.post("/v1/webhooks", {"url": receiver.url, "allow_private": True})
            drain = await served.post("/v1/drains", {"app": APP, "environment": "production", "logplex_token": None})
            lines = planted(now)
            bodies = [
                frame_of(*lines),
                b"no octet count password=" + PLANTED.encode() + b" " + frame_of(boot_timeout("web.1", now)),
            ]
            bodies.append(gzip.compress(frame_of(message("app", "web.2", FORMS[0], now))))
            bodies.append(b"\x1f\x8b broken " + FORMS[1].encode())
            for body in bodies:
                zipped = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}
                headers = {
                    "Authorization": basic(APP, drain["secret"]),
                    "Content-Type": "application/logplex-1",
                    **zipped,
                }
                assert (await served.client.post("/drain", content=body, headers=headers)).status_code == 204
            await receiver.received(1)
            await eventually(lambda: served.get("/v1/incidents"), lambda found: bool(found["items"]))
            answers = await everything_that_is_answered(served.client)
            kept = await everything_that_is_kept(url)
            assert await served.end() == 0
            logged = served.said()
            told = b"\n".join(request.body for request in receiver.requests).decode()
    finally:
        await postgres.stop()

    for where, text in (*answers.items(), *kept.items(), ("the log", logged), ("webhooks", told)):
        assert PLANTED.lower() not in text.lower(), (where, around(text))
    assert kept["the chunks' lines"].count("\n") >= len(lines)
    assert kept["the chunks' lines"].count("[redacted]") >= len(lines) - 5
    assert "[redacted]" in kept["quarantine"]


async def everything_that_is_answered(client: httpx.AsyncClient) -> dict[str, str]:
    """Lists whole, each event and incident alone, and the metrics."""
    found = {
        path: (await client.get(f"/v1/{path}", params={"limit": 1000})).text for path in ANSWERS if path != "traffic"
    }
    found["traffic"] = (await client.get("/v1/traffic", params={"app": APP})).text
    for noun in ("events", "incidents"):
        items: list[Any] = (await client.get(f"/v1/{noun}", params={"limit": 1000})).json()["items"]
        for one in items[:: max(1, len(items) // 20)]:
            found[f"{noun}/{one['id']}"] = (await client.get(f"/v1/{noun}/{one['id']}")).text
    found["metrics"] = (await client.get("/metrics")).text
    return found


async def everything_that_is_kept(url: str) -> dict[str, str]:
    """Each table's rows as text, with the bytes in them as text too, and what the chunks hold."""
    conn = await asyncpg.connect(url)
    tables = [row[0] for row in await conn.fetch("select tablename from pg_tables where schemaname = 'public'")]
    found = {}
    for table in tables:
        rows = await conn.fetch(f'select * from "{table}"')
        found[table] = "\n".join(str(value) for row in rows for value in row.values())
    bodies = [row[0] for row in await conn.fetch("select body from chunks")]
    found["the chunks' lines"] = "".join(
        zstandard.ZstdDecompressor().decompress(body).decode(errors="replace") for body in bodies
    )
    await conn.close()
    return found


def around(text: str) -> str:
    """What stands around the first one that was found."""
    at = text.lower().find(PLANTED.lower())
    return text[max(0, at - 120) : at + 40]
