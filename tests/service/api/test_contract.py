"""Whatever is asked of the API, it answers as its description says: never a 5xx, no status and no shape that it does not name.

Two ways: values that often fit and often do not, over every operation of the document; and schemathesis with all its checks
(`schemathesis.toml` says what it cannot know).
"""

import asyncio
import os
import random
import string
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from keeping import keep
from listening import ADMIN, web_process
from service.access import SCOPES
from service.api.openapi import operations
from service.store.database import Database
from soak import SOAK
from vocabulary import crash, message, router_line

from .conftest import Asking
from .test_incidents import opened_in

CASES = 20_000 if SOAK else 500
HERE = Path(__file__).parent
SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")

_TEXTS = (
    *("", "0", "-1", "1", "100", "1001", "true", "null", "[]", "{}", "x" * 400, "é", "\0", "%", "../..", "H12", "shop"),
    *("'; drop table events; --", "15m", "9999999d", "2026-05-11T12:00:00Z", "0001-01-01T00:00:00+23:59", "code:H12"),
    *("severity>=error -x", "((", "*", '"', "path:/a*b?c%_\\", "status>1e5", "x:*", "ts>yesterday", "NOT", "dyno:web.1 OR y"),
    "id:0196bf00-7c1e-7000-8000-00000000000a",
)  # fmt: skip


def any_text(chance: random.Random) -> str:
    if chance.random() < 0.8:
        return chance.choice(_TEXTS)
    return "".join(chance.choice(string.printable + "é\u202e\U0001f600") for _ in range(chance.randint(0, 12)))


def any_value(schema: dict[str, Any], chance: random.Random) -> str:
    """A value that often fits."""
    if chance.random() < 0.3:
        return any_text(chance)
    schema = chance.choice(schema.get("anyOf", [schema]))
    if "enum" in schema:
        return str(chance.choice(schema["enum"]))
    if schema.get("type") == "integer":
        return str(chance.randint(schema.get("minimum", -5), schema.get("maximum", 5)))
    return any_text(chance)


def any_json(chance: random.Random, depth: int = 2) -> Any:
    plain = (
        None,
        True,
        0,
        -1,
        1.5,
        2**80,
        "",
        "shop",
        "production",
        "https://hooks.example.com/x",
        *SCOPES,
        "\0",
        ["shop"],
    )
    if depth == 0 or chance.random() < 0.6:
        return chance.choice(plain)
    if chance.random() < 0.3:
        return [any_json(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    names = (
        "name",
        "scope",
        "apps",
        "app",
        "environment",
        "url",
        "format",
        "match",
        "types",
        "version",
        "text",
        "nope",
    )
    return {name: any_json(chance, depth - 1) for name in chance.sample(names, chance.randint(0, 4))}


async def test_whatever_is_asked_is_answered_as_the_description_says(ask: Asking) -> None:
    await keep(ask.db, "shop", router_line(code="H12"), crash("web.1"), message("app", "web.1", "hello"))
    document = await ask.get("/openapi.json")
    chance = random.Random(7)
    # A stream does not end; that it answers as described is test_stream.py's.
    every = [one for one in operations(document) if not one[1].endswith("/stream")]
    ids = [event["id"] for event in (await ask.get("/v1/events"))["items"]]
    statuses = set()
    for n in range(CASES):
        method, path, operation = every[n % len(every)]
        query, headers = {}, {}
        for parameter in operation.get("parameters", ()):
            value = any_value(parameter["schema"], chance)
            if parameter["in"] == "path":
                value = chance.choice([*ids, "1", "x", value.replace("/", "") or "y"])
                path = path.replace(f"{{{parameter['name']}}}", _quoted(value))
            elif chance.random() < 0.4:
                query[parameter["name"]] = value
        if chance.random() < 0.05:
            query["nope"] = "1"
        body = {"json": any_json(chance)} if "requestBody" in operation and chance.random() < 0.9 else {}

        answer = await ask(method, path, params=query, headers=headers, **body)

        said = f"{method} {path} {query} {body}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, said
        assert str(answer.status_code) in operation["responses"] or "default" in operation["responses"], said
        described = operation["responses"].get(str(answer.status_code), operation["responses"].get("default", {}))
        if answer.content:
            media = answer.headers["content-type"].partition(";")[0]
            assert media in described["content"], said
            if media.endswith("json"):
                conforms(answer.json(), described["content"][media]["schema"], document, said)
        statuses.add(answer.status_code)
    assert {200, 400, 404} <= statuses


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def _quoted(text: str) -> str:
    return quote(text, safe="")


def conforms(value: Any, schema: dict[str, Any], document: dict[str, Any], said: str) -> None:
    """Asserts that a value has the shape, as far as JSON Schema's words that the document uses say it."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert any(_is(value, one, document, said) for one in schema["anyOf"]), (value, schema, said)
        return
    if "type" in schema:
        assert isinstance(value, _TYPES[schema["type"]]), (value, schema, said)
    assert value in schema.get("enum", [value]), (value, schema, said)
    assert value == schema.get("const", value), (value, schema, said)
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value), (value, schema, said)
        for name, member in value.items():
            if name in schema.get("properties", {}):
                conforms(member, schema["properties"][name], document, said)
            elif schema.get("additionalProperties") not in (None, True, False):
                conforms(member, schema["additionalProperties"], document, said)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            conforms(item, schema["items"], document, said)


def _is(value: Any, schema: dict[str, Any], document: dict[str, Any], said: str) -> bool:
    try:
        conforms(value, schema, document, said)
    except AssertionError:
        return False
    return True


async def test_schemathesis_finds_nothing_with_all_checks_on(emptied_url: str, tmp_path: Path) -> None:
    db = Database.open(emptied_url)
    await keep(db, "shop", router_line(code="H12"), crash("web.1"), message("app", "web.1", "hello"))
    await opened_in(db, "shop")
    await db.close()
    async with web_process(emptied_url) as url:
        command = [
            *(SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{url}/openapi.json", "--checks", "all", "--mode", "all", "--seed", "1"),
            *("--header", f"Authorization: Bearer {ADMIN}", "--exclude-path-regex", "/stream$", "--no-color"),
            *("--max-examples", "200" if SOAK else "5", "--generation-database", "none"),
        ]
        folders = (HERE, HERE.parents[1], HERE.parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
        ran = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=environment, cwd=tmp_path
        )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
