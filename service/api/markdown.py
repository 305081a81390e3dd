"""docs/api.md: the API's description as text, made from the OpenAPI document.

python -m service.api.markdown > docs/api.md
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from service.api.openapi import operations


def markdown_of(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as Markdown: what can be asked, by tag, then the shapes of what goes in and out."""
    return "\n".join(_lines(document)).rstrip() + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# The API", "", document["info"]["description"], "")
    yield "Made from `/openapi.json` by `python docs/make_api.py`; `/docs` shows the same in a browser."
    every = list(operations(dict(document)))
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in every):
        yield from ("", f"## {tag.capitalize()}")
        for method, path, operation in every:
            if operation["tags"][0] == tag:
                yield from _operation(method, path, operation)
    yield from ("", "## Shapes")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _shape(name, schema)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### `{method} {path}`", "", f"{operation['summary']}. {_prose(operation['description'])}")
    rows = [
        (f"`{one['name']}`", one["in"], _type(one["schema"]), _prose(one["description"]), _example(one.get("example")))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        rows.append(("body", "", _type(body), "", ""))
    if rows:
        yield from ("", "| parameter | in | type | | example |", "|---|---|---|---|---|")
        yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield from ("", "| answer | | |", "|---|---|---|")
    for status, answer in operation["responses"].items():
        yield f"| {status} | {_prose(answer['description'])} | {_content(answer)} |"


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "",
        f'### <a id="{name.lower()}"></a>`{name}`',
        "",
        _prose(schema.get("description", "A page of a list.")),
    )
    members = schema.get("properties", {})
    if members:
        yield from ("", "| member | type | |", "|---|---|---|")
        for member, one in members.items():
            optional = "" if member in schema.get("required", ()) else " (optional)"
            yield f"| `{member}` | {_type(one)}{optional} | {_prose(one.get('description', ''))} |"
    for example in schema.get("examples", ())[:1]:
        yield from ("", "```json", json.dumps(example, ensure_ascii=False, indent=2), "```")


def _content(answer: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{'' if media == 'application/json' else f'`{media}`: '}{_type(one.get('schema', {}))}"
        for media, one in answer.get("content", {}).items()
    )


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    said = [str(schema.get("type", "anything"))]
    if "maximum" in schema and "minimum" in schema:
        said.append(f"{schema['minimum']} to {schema['maximum']}")
    if schema.get("format"):
        said.append(str(schema["format"]))
    if schema.get("default") not in (None, ""):
        said.append(f"by default `{schema['default']}`")
    return ", ".join(said)


def _example(value: object) -> str:
    return "" if value is None else f"`{_prose(value if isinstance(value, str) else json.dumps(value))}`"


def _prose(text: str) -> str:
    """Text as a cell of a table has it."""
    return " ".join(text.split()).replace("|", "\\|")
