"""Streams: events and lines as they arrive, as Server-Sent Events (WHATWG HTML, "Server-sent events").

A message's `id` is its place in the stream; whoever sends the last one back in `Last-Event-ID`, to whichever process, goes on
right behind it. The place alone, without data, comes at the beginning and with each ping, so that a client whose filter seldom
holds resumes from there too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi import Query as FromQuery
from starlette.responses import StreamingResponse
from starlette.types import Send

from parsers.filters import Node, Predicate, predicate
from parsers.filters.tree import And, Equals, Not, Or
from service.access import Scope
from service.api import parameters
from service.api.context import api_of, caller_of, within_reach
from service.api.feed import Batch, Feed
from service.api.guard import guarded_router
from service.api.problems import problems
from service.errors import Refused, StoreAway
from service.store.arrivals import KEPT, Place, place_text, read_place
from service.store.filter_sql import one_of
from service.store.tables import OWN_KINDS

router: APIRouter = guarded_router("streams", Scope.READ, of_apps=True)

PING_SECONDS = 15.0
# A client that takes nothing for so long, with its socket's buffers full, is cut off.
SEND_SECONDS = 30.0
_RETRY_MS = 1000
_OWN = Or(tuple(Equals("kind", kind) for kind in OWN_KINDS))
_SENT_AT_ONCE = 64 << 10  # characters

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=8192,
        examples=["AAAAAAAAAv0AAAAAAAAC_QAABjTu4ITwQA"],
        description="The `id` of the last message that was received: the stream goes on behind it. Without it, it begins now.",
    ),
]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Messages with an opaque `id` and one event's (or line's) JSON as `data`; a comment every 15 s.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: AAAB\ndata: {"id": "0196…", "kind": "router_error", "code": "H12"}\n\n',
            }
        },
    },
    **problems(410, 503),
}


class LineStreamQuery(parameters.Query):
    """Which lines."""

    app: parameters.App = None
    environment: parameters.Environment = None
    dyno: parameters.Dyno = None
    q: parameters.Filter = None


class EventStreamQuery(LineStreamQuery):
    """Which events."""

    code: parameters.Code = None
    kind: parameters.Kind = None


class EventStream(StreamingResponse):
    """An answer that goes on until its client has enough, or is too slow."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """Sends each piece, if the client takes it within SEND_SECONDS."""

        async def within(message: Any) -> None:
            await asyncio.wait_for(send(message), SEND_SECONDS)

        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            try:
                await super().stream_response(within)
            except TimeoutError:
                return  # it takes nothing: it would not take a farewell either


@router.get("/events/stream", response_class=EventStream, responses=_STREAM, summary="Events as they arrive")
async def stream_events(
    request: Request, query: Annotated[EventStreamQuery, FromQuery()], last_event_id: LastEventId = None
) -> EventStream:
    """Events of what drains send, as soon as it is committed, each once and in the order of arrival."""
    return await _streamed(request, api_of(request).events_feed, query, last_event_id)


@router.get("/lines/stream", response_class=EventStream, responses=_STREAM, summary="Lines as they arrive")
async def stream_lines(
    request: Request, query: Annotated[LineStreamQuery, FromQuery()], last_event_id: LastEventId = None
) -> EventStream:
    """Lines as soon as they are committed, each once and in the order of arrival."""
    return await _streamed(request, api_of(request).lines_feed, query, last_event_id)


async def _streamed(request: Request, feed: Feed, query: LineStreamQuery, last_id: str | None) -> EventStream:
    place = read_place(last_id) if last_id else None
    if place is not None and not place.is_kept(datetime.now(UTC)):
        expected = f"one of the last {KEPT.total_seconds() / 3600:.0f} hours, or none: lists have what came before"
        detail = f"Last-Event-ID is of longer ago than any stream goes back; expected {expected}"
        raise Refused(410, detail, parameter="Last-Event-ID", expected=expected)
    told = _told(request, feed, predicate(_wanted(request, query)), place)
    first = await anext(told)  # what is refused is refused before the answer begins
    return EventStream(_all(first, told), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _wanted(request: Request, query: LineStreamQuery) -> Node:
    """The parameters as one filter."""
    names = ("app", "environment", "dyno", "code", "kind")
    said = [Equals(name, value) for name in names if (value := getattr(query, name, None)) is not None]
    parts: tuple[Node, ...] = (*said, within_reach(request, query.q))
    wanted = And(parts) if len(parts) > 1 else parts[0]
    # As in lists: what drainwatch makes itself is told where it is asked for by its kind.
    return wanted if one_of(wanted, "kind") else And((Not(_OWN), wanted))


async def _all(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    async with aclosing(rest):  # type: ignore[type-var]
        yield first
        async for text in rest:
            yield text


async def _told(request: Request, feed: Feed, fits: Predicate, place: Place | None) -> AsyncIterator[str]:
    """The text of the stream: from `place` on, or from now. Ends when the client is too slow, or may no longer read."""
    async with feed.stream(caller_of(request).id) as stream:
        yield f"retry: {_RETRY_MS}\nid: {place_text(place or stream.place)}\n\n"
        if place is not None:
            try:
                async for batch in feed.between(place, stream.place):
                    for text in _messages(batch, fits):
                        if stream.is_cut:
                            return
                        yield text
            except StoreAway:
                return
        at, checked = stream.place, monotonic()
        while not stream.is_cut:
            batch_now = await stream.next(PING_SECONDS)
            if monotonic() - checked >= PING_SECONDS:
                if not await _may_go_on(request):
                    return
                checked = monotonic()
            if batch_now is None:
                yield f": ping\nid: {place_text(at)}\n\n"
                continue
            at = batch_now.place
            for text in _messages(batch_now, fits):
                if stream.is_cut:
                    return
                yield text


def _messages(batch: Batch, fits: Predicate) -> list[str]:
    """The messages of a batch, some to a piece."""
    pieces, piece, size = [], [], 0
    for item in batch.items:
        if fits(item.event):
            message = f"id: {place_text(item.place)}\ndata: {item.data}\n\n"
            piece.append(message)
            size += len(message)
            if size > _SENT_AT_ONCE:
                pieces.append("".join(piece))
                piece, size = [], 0
    return [*pieces, "".join(piece)] if piece else pieces


async def _may_go_on(request: Request) -> bool:
    """Whether the token still is one. While the database is away it is."""
    try:
        await api_of(request).access.check(request.headers.get("authorization"), Scope.READ)
    except Refused:
        return False
    except StoreAway:
        pass
    return True
