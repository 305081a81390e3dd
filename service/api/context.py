"""What the routers work with, and how a request gets at it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from parsers.filters import Node
from parsers.filters.tree import And, Equals, Everything, Glob, Has, Or, is_pattern
from service.access import Access, Caller
from service.api.feed import Feed, events_feed, lines_feed
from service.detect.rule_book import RuleBook
from service.errors import Refused
from service.ingest.tallies import Tallies
from service.store.apps import App
from service.store.database import Database
from service.store.filter_sql import narrowed

_TURN_SECONDS = 10.0
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
    # Searches of lines: each keeps a connection, and a processor, for up to a second. There are five connections.
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    events_feed: Feed = field(init=False)
    lines_feed: Feed = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "events_feed", events_feed(self.db))
        object.__setattr__(self, "lines_feed", lines_feed(self.db))

    def close(self) -> None:
        """Ends what would go on for ever: the streams."""
        self.events_feed.close()
        self.lines_feed.close()


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


@asynccontextmanager
async def a_turn(request: Request) -> AsyncIterator[None]:
    """One of the turns at searching lines. Raises Refused (503) where none is free for ten seconds."""
    turns = api_of(request).turns
    try:
        await asyncio.wait_for(turns.acquire(), _TURN_SECONDS)
    except TimeoutError as error:
        raise Refused(503, "too many searches at once; the same request may succeed in a moment") from error
    try:
        yield
    finally:
        turns.release()


def reach_of(request: Request) -> Node:
    """The filter of what the caller's token reaches: everything, or the apps that it is bound to."""
    globs = caller_of(request).apps
    if globs is None:
        return Everything()
    parts: tuple[Node, ...] = tuple(_one_app(glob) for glob in globs)
    return Or(parts) if len(parts) > 1 else parts[0]


def within_reach(request: Request, q: Node | None) -> Node:
    """What of the filter `q` (None: everything) the caller's token reaches."""
    parts = tuple(one for one in (reach_of(request), q) if one is not None and not isinstance(one, Everything))
    return And(parts) if len(parts) > 1 else parts[0] if parts else Everything()


def reached(request: Request, known: dict[int, App]) -> dict[int, App]:
    """Those of some apps that the caller's token reaches."""
    return {app_id: known[app_id] for app_id in narrowed(reach_of(request), known).app_ids}


def _one_app(glob: str) -> Node:
    if not is_pattern(glob):
        return Equals("app", glob)
    return Glob("app", glob) if glob.strip("*") else Has("app")


def numbered(text: str, what: str) -> int:
    """The number in a path that names a `what`. Raises Refused (404) for a text that can name none."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _LARGEST_ID:
        raise Refused(404, f"there is no {what} {text[:80]!r}")
    return int(text)


def answer(content: Any, status: int = 200) -> JSONResponse:
    """`content` as the answer. It is written as it is, unchecked: `service/wire` has made it, and lists are long."""
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})
