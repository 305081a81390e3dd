"""The API's description: what the framework knows of the routes, completed so that a client can be made from it.

Every operation has a name of its own, every parameter a description and an example, every answer a sentence, every shape that
leaves the house and every refusal an example. What several routes share is said here once.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.examples import EXAMPLES
from service.store.pages import Key, cursor_of
from service.wire.problem import MEDIA_TYPE, SCHEMA, problem_json

Document = dict[str, Any]

ABOUT = """What Heroku's log drains have sent, what it means, and what to do about it.

Send `Authorization: Bearer TOKEN`; `drainwatch token create --scope read` makes a token. Lists answer `items` and
`next_cursor`, which leads to the page after; no row is skipped or repeated while new ones arrive. Times are RFC 3339 in UTC;
`since` and `until` also take a time ago (`15m`, `2h`, `7d`). Refusals are problem details (RFC 9457) that say which parameter
is wrong and what was expected."""

# What an id in a path names, by the noun before it.
_IDS = {
    "events": ("The event's id, as a list shows it.", "0196bf00-7c1e-7000-8000-00000000000a"),
    "incidents": ("The incident's id, as a list shows it.", "0196bf00-7c1e-7000-8000-00000000000b"),
    "deliveries": ("The delivery's id, as a webhook's deliveries show it.", "0196bf00-7c1e-7000-8000-00000000000c"),
    "drains": ("The drain's number, as the list shows it.", "7"),
    "webhooks": ("The webhook's number, as the list shows it.", "3"),
    "silences": ("The silence's id, as the list shows it.", "5"),
    "tokens": ("The token's number, as the list shows it.", "2"),
}
_PLACE = Key(datetime(2026, 5, 11, 12, tzinfo=UTC), UUID("0196bf00-7c1e-7000-8000-00000000000a"))
# Where ids come from that no list of their own noun gives.
_GIVES = {
    "/v1/events": ("/v1/events", "/v1/errors"),
    "/v1/deliveries": ("/v1/webhooks/{id}/deliveries", "/v1/webhooks/{id}/test"),
}
_PROBLEMS: dict[str, dict[str, object]] = {
    "400": problem_json(
        400,
        "q: The filter is wrong at column 10: expected a severity: debug, info, warning, error, critical, found 'awful'.",
        parameter="q",
        column=10,
        expected="a severity: debug, info, warning, error, critical",
    ),
    "401": problem_json(401, "the bearer token is unknown or revoked; `drainwatch token create` makes a new one"),
    "403": problem_json(403, "the token 'grafana' has the scope read; expected write"),
    "404": problem_json(404, "there is no event 'x', or none any more"),
    "409": problem_json(409, "it has changed since version 3; expected the version as it is now"),
    "410": problem_json(410, "Last-Event-ID is of longer ago than any stream goes back to", parameter="Last-Event-ID"),
    "429": problem_json(
        429, "the token 'grafana' has asked more than 600 times in a minute; expected the next request in 1 s"
    ),
    "503": problem_json(503, "the database is away; the same request may succeed in a moment"),
}


def describe(app: FastAPI) -> Callable[[], Document]:
    """What `app.openapi` is from now on: the document, made once."""

    def openapi() -> Document:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Every method and path of a document with what it says of them, in its order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _document(app: FastAPI) -> Document:
    document = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    shapes = document.setdefault("components", {}).setdefault("schemas", {})
    shapes["Problem"] = SCHEMA
    for name, example in EXAMPLES.items():
        if name in shapes:
            shapes[name]["examples"] = [example]
    for method, path, operation in operations(document):
        # The function's name, which FastAPI makes longer than any client's method should be.
        operation["operationId"] = operation["operationId"].removesuffix(re.sub(r"\W", "_", f"{path}_{method.lower()}"))
        operation["responses"] = dict(sorted(operation["responses"].items()))
        _complete(operation, path, shapes)
    _link(document)
    return document


def _complete(operation: Document, path: str, shapes: Document) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and not parameter.get("description"):
            noun = path.split("/{")[0].rpartition("/")[2]
            parameter["description"], parameter["example"] = _IDS[noun]
        elif parameter["name"] == "cursor":
            parameter["example"] = cursor_of(_PLACE, of=path.rpartition("/")[2])
        _describe_schema(parameter)
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if answer["description"] == "Successful Response":
            answer["description"] = _what(content, shapes) or "It is done."
        if MEDIA_TYPE in content:
            content[MEDIA_TYPE]["example"] = _PROBLEMS.get(status, _PROBLEMS["503"])


def _link(document: Document) -> None:
    """Says of each list, and of what is made, where its ids lead (OpenAPI, "Link Object"): a client, or a test, walks along."""
    every = list(operations(document))
    for _, path, operation in every:
        noun, _, under = path.partition("/{id}")
        if not under and not path.endswith("/{id}"):
            continue
        for method, source, giving in every:
            if source in _GIVES.get(noun, (noun,)):
                id = "$response.body#/items/0/id" if method == "GET" else "$response.body#/id"
                status = next(status for status in giving["responses"] if status.startswith("2"))
                name = operation["operationId"]
                link = {"operationId": name, "parameters": {"id": id}}
                giving["responses"][status].setdefault("links", {})[name] = link


def _describe_schema(parameter: Document) -> None:
    """Moves an example to where clients look for it, and drops what a query cannot carry: a null."""
    schema = parameter["schema"]
    alternatives = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(alternatives) == 1:
        kept = {name: value for name, value in schema.items() if name not in ("anyOf", "description")}
        parameter["schema"] = schema = {**alternatives[0], **kept}
    examples = schema.pop("examples", None)
    if examples and "example" not in parameter:
        parameter["example"] = examples[0]
    elif schema.get("type") == "boolean" and "example" not in parameter:
        parameter["example"] = True


def _what(content: Document, shapes: Document) -> str:
    """What an answer is: its shape's own words."""
    name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return str(shapes.get(name, {}).get("description", "")).split(". ")[0].split(": ")[0].rstrip(".").replace(
        "\n", " "
    ) + ("." if name else "")
