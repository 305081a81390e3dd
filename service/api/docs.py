"""/docs: the API's description as one page for people, made from the OpenAPI document; loads nothing, runs nothing."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb,
  currentColor 66%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) } h3 { margin: 2rem 0 0 }
code { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere } p { margin: .3rem 0 }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1rem; margin: .8rem 0 }
dt, dd { margin: 0; min-width: 0 } .soft { color: var(--soft) } a { color: inherit }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr } dd { margin-bottom: .6rem } }
"""
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(page_of(request.app.openapi()), headers={"Content-Security-Policy": _POLICY})


def page_of(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as HTML: what can be asked, by tag, then the shapes of what goes in and out."""
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = dict.fromkeys(operation["tags"][0] for _, _, operation in operations)
    title = f"{document['info']['title']} {document['info']['version']}"
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}: the API</title><style>{_STYLE}</style>",
            f"<h1>{escape(title)}: the API</h1>",
            "<p>Send <code>Authorization: Bearer TOKEN</code>; <code>drainwatch token create --scope read</code> makes one. ",
            'For programs: <a href="/openapi.json">/openapi.json</a>.</p>',
            *(_tag(tag, [one for one in operations if one[2]["tags"][0] == tag]) for tag in tags),
            "<h2>Shapes</h2>",
            *(_shape(name, schema) for name, schema in sorted(document["components"]["schemas"].items())),
            "</html>\n",
        )
    )


def _tag(tag: str, operations: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    return f"<h2>{escape(tag)}</h2>" + "".join(_operation(*one) for one in operations)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    taken = [
        (one["name"], _type(one["schema"]), one.get("description", "in the path"))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        taken.append(("body", _type(body), ""))
    given = [(status, _content(one), one["description"]) for status, one in operation["responses"].items()]
    return "".join(
        (
            f"<h3><code>{escape(method.upper())} {escape(path)}</code></h3>",
            f"<p>{_prose(operation.get('summary', ''))}</p>",
            f"<p>{_prose(operation.get('description', ''))}</p>",
            _list(taken) if taken else "",
            _list(given),
        )
    )


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    members = [
        (
            member,
            _type(one) + ("" if member in schema.get("required", ()) else " (optional)"),
            one.get("description", ""),
        )
        for member, one in schema.get("properties", {}).items()
    ]
    said = f"<p>{_prose(schema.get('description', ''))}</p>"
    return f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>{said}{_list(members) if members else ""}'


def _list(rows: Iterable[tuple[str, str, str]]) -> str:
    return (
        "<dl>"
        + "".join(
            f'<dt><code>{escape(name)}</code></dt><dd>{kind}{" " if kind else ""}<span class="soft">{_prose(said)}</span></dd>'
            for name, kind, said in rows
        )
        + "</dl>"
    )


def _content(response: Mapping[str, Any]) -> str:
    return "".join(_type(one.get("schema", {})) for one in response.get("content", {}).values())


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"a list of {_type(schema.get('items', {}))}"
    more = schema.get("format") or (f"from {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else "")
    default = f", by default {schema['default']}" if schema.get("default") not in (None, "") else ""
    return escape(f"{schema.get('type', 'anything')}{f' ({more})' if more else ''}{default}")


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))
