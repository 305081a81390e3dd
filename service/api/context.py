"""What the routers work with, and how a request gets at it."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from service.access import Access, Caller
from service.detect.rule_book import RuleBook
from service.errors import Refused
from service.ingest.tallies import Tallies
from service.store.database import Database

# Postgres's `integer`: ids beyond it name nothing.
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Api:
    """The rooms behind the API. `public_url` is where people and Heroku reach this service, as in `https://logs.example.com`;
    `tallies` are of the drain endpoint in this process, None where it has none; `rules` those in force."""

    db: Database
    access: Access
    public_url: str
    tallies: Tallies | None = None
    rules: RuleBook = field(default_factory=RuleBook)


def remember(app: FastAPI, api: Api) -> None:
    """Lets the requests of `app` find `api`."""
    app.state.api = api


def api_of(request: Request) -> Api:
    """The rooms behind the app that the request came to."""
    api: Api = request.app.state.api
    return api


def caller_of(request: Request) -> Caller:
    """Who asks; known once the request has passed the guard."""
    caller: Caller = request.state.caller
    return caller


def numbered(text: str, what: str) -> int:
    """The number in a path that names a `what`. Raises Refused (404) for a text that can name none."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _LARGEST_ID:
        raise Refused(404, f"there is no {what} {text[:80]!r}")
    return int(text)


def answer(content: Any, status: int = 200) -> JSONResponse:
    """`content` as the answer. It is written as it is, unchecked: `service/wire` has made it, and lists are long."""
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})
