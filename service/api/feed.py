"""What arrives, for all streams of a process: one reader follows the store, each stream chooses from what it hands on.

Hard about it: nobody may miss or repeat anything, and nobody may cost the others. The reader asks the store what arrived
since its last snapshot (`store/arrivals.py`), woken by each commit or once a second, and hands the same batch to every stream.
A stream begins at a snapshot that was taken after it asked; one that resumes first reads for itself what lies between its
place and that one, and so both parts join exactly. A stream that does not keep up is cut off: its client resumes from the last
`id` that it has, and meanwhile only its own queue was full.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from parsers.line import Line, Origin
from parsers.line_event import line_event
from service.errors import StoreAway
from service.log import log
from service.store import apps, arrivals, chunks, events, tokens
from service.store.arrivals import ALONE, Arrival, Place
from service.store.chunks import KeptLine
from service.store.database import Database, dump_json
from service.store.events import KeptEvent
from service.store.wakeups import PENDING, listen
from service.wire.event import event_json
from service.wire.line import line_json

# A wake-up that was lost is made up for so soon.
POLL_SECONDS = 1.0
# Between two looks, at least: a busy fleet commits a hundred times a second, and each look is a question.
_APART_SECONDS = 0.05
# Arrivals read at once: a commit's lines may be megabytes.
_EVENTS_AT_ONCE, _LINES_AT_ONCE = 100, 10
# What may wait for one stream; what is beyond it is its client's to come back for.
MOST_WAITING = 20_000
_CATCHING_UP = 2  # at once, for each holds a connection of five


class Item(Protocol):
    """One event or line on its way: as an event, for filters, and as it is told."""

    place: Place

    @property
    def event(self) -> Event: ...
    @property
    def data(self) -> str: ...


@dataclass
class EventItem:
    """An event. What it is told as is made once, for however many streams."""

    place: Place
    kept: KeptEvent

    @property
    def event(self) -> Event:
        """Itself."""
        return self.kept.event

    @cached_property
    def data(self) -> str:
        """Its JSON, on one line."""
        return dump_json(event_json(self.kept.event))


@dataclass
class LineItem:
    """A line, likewise."""

    place: Place
    kept: KeptLine

    @cached_property
    def event(self) -> Event:
        """The line as an event."""
        one = self.kept
        line = Line(one.ts, one.source, one.process, one.text)
        return line_event(line, Origin(one.app, one.environment), received_at=one.place.received_at)

    @cached_property
    def data(self) -> str:
        """Its JSON, on one line."""
        return dump_json(line_json(self.kept))


@dataclass(frozen=True, slots=True)
class Batch:
    """What arrived, in order, and the place behind all of it."""

    items: Sequence[Item]
    place: Place


Load = Callable[[AsyncConnection, Sequence[Arrival]], Any]


@dataclass(eq=False)
class Stream:
    """What waits for one client. `is_cut`: it was too slow, or may read no longer, and gets no more. `token_id` is the token
    that it was opened with; None: the settings' own."""

    place: Place
    token_id: int | None = None
    waiting: deque[Batch] = field(default_factory=deque)
    size: int = 0
    is_cut: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def hand(self, batch: Batch) -> None:
        """Adds what arrived, or cuts the stream off."""
        if self.waiting and self.size + len(batch.items) > MOST_WAITING:
            self.cut()
        if not self.is_cut:
            self.size += len(batch.items)
            self.waiting.append(batch)
            self.woken.set()

    def cut(self) -> None:
        """Ends it."""
        self.is_cut = True
        self.waiting.clear()
        self.woken.set()

    async def next(self, seconds: float) -> Batch | None:
        """The next batch; None where none came for that long, or the stream is cut off."""
        if not self.waiting and not self.is_cut:
            self.woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), seconds)
        if not self.waiting:
            return None
        batch = self.waiting.popleft()
        self.size -= len(batch.items)
        return batch


class Feed:
    """The events, or the lines, of a process's streams. Follows the store while it has any."""

    def __init__(self, db: Database, load: Load, name: str, *, at_once: int) -> None:
        self._db, self._load, self.name, self._at_once = db, load, name, at_once
        self._streams: set[Stream] = set()
        self._joining: list[asyncio.Future[Stream]] = []
        self._asked = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._catching_up = asyncio.Semaphore(_CATCHING_UP)
        self._closed = False

    @asynccontextmanager
    async def stream(self, token_id: int | None = None) -> AsyncIterator[Stream]:
        """A stream that begins with what is committed from a moment on that is later than this call's, and ends when its token
        is revoked. Raises StoreAway."""
        if self._closed:
            raise StoreAway("this process is about to end")
        joined: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        self._joining.append(joined)
        self._asked.set()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(), name=f"feed {self.name}")
        try:
            stream = await joined
            stream.token_id = token_id
            yield stream
        finally:
            if joined.done() and not joined.cancelled() and joined.exception() is None:
                self._streams.discard(joined.result())

    async def between(self, place: Place, end: Place) -> AsyncIterator[Batch]:
        """What lies behind `place` and before `end`, for a stream that resumes there. Raises StoreAway."""
        while place.since != end.since:
            async with self._catching_up, self._db.read() as conn:
                batch = await self._read(conn, place, until=end)
            yield batch
            place = batch.place

    def close(self) -> None:
        """Ends all streams: their clients resume elsewhere."""
        self._closed = True
        for stream in self._streams:
            stream.cut()
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        try:
            while self._streams or self._joining:  # again: one may have come while the listening ended
                async with listen(self._db, PENDING) as woken:
                    await self._hand_on(woken)
        except Exception as error:  # its streams end, and the next one begins anew
            log.error("feed.failed", feed=self.name, reason=f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            for stream in self._streams:
                stream.cut()
            _refuse(self._joining, StoreAway("the feed has ended"))
            self._joining = []

    async def _hand_on(self, woken: asyncio.Event) -> None:
        place: Place | None = None
        while self._streams or self._joining:
            joining, self._joining = self._joining, []
            self._asked.clear()
            woken.clear()
            try:
                place = await self._look(place)
            except StoreAway as away:
                log.warning("feed.away", feed=self.name, reason=str(away))
                _refuse(joining, away)
                await asyncio.sleep(POLL_SECONDS)
                continue
            for joined in joining:
                if not joined.done():
                    stream = Stream(place)
                    self._streams.add(stream)
                    joined.set_result(stream)
            await asyncio.sleep(_APART_SECONDS)
            await _either(woken, self._asked, POLL_SECONDS)

    async def _look(self, place: Place | None) -> Place:
        """Hands on what arrived behind `place` (None: nothing yet), and gives the place behind it all."""
        if place is None:
            async with self._db.read() as conn:
                return await arrivals.here(conn)
        while True:
            async with self._db.read() as conn:
                batch = await self._read(conn, place)
                # Behind the reading: what was committed after the revocation is handed to none of them.
                await self._end_revoked(conn)
            if batch.items:
                for stream in list(self._streams):
                    stream.hand(batch)
            place = batch.place
            if place.since == place.until:
                return place

    async def _end_revoked(self, conn: AsyncConnection) -> None:
        given = {stream.token_id for stream in self._streams if stream.token_id is not None}
        gone = await tokens.revoked(conn, given) if given else frozenset()
        for stream in self._streams:
            if stream.token_id in gone:
                stream.cut()

    async def _read(self, conn: AsyncConnection, place: Place, *, until: Place | None = None) -> Batch:
        arrived = await arrivals.behind(conn, place, until=until, most=self._at_once)
        found = await self._load(conn, arrived.items)
        items = []
        for arrival in arrived.items:
            for number, kept in enumerate(found.get(arrival.chunk_id, ()), 1):
                step = arrival.step(number)
                if place.since == place.until or step > place.step:
                    items.append(self._item(arrived.place_at(step), kept))
        return Batch(items, arrived.place)

    def _item(self, place: Place, kept: Any) -> Item:
        return EventItem(place, kept) if isinstance(kept, KeptEvent) else LineItem(place, kept)


def events_feed(db: Database) -> Feed:
    """The feed of events."""

    async def load(conn: AsyncConnection, found: Sequence[Arrival]) -> Any:
        some = [one for one in found if one.events]
        return await events.of_arrivals(conn, some) if some else {}

    return Feed(db, load, "events", at_once=_EVENTS_AT_ONCE)


def lines_feed(db: Database) -> Feed:
    """The feed of lines."""

    async def load(conn: AsyncConnection, found: Sequence[Arrival]) -> Any:
        some = [one for one in found if one.events != ALONE]
        return await chunks.of_arrivals(conn, some, await apps.known(conn)) if some else {}

    return Feed(db, load, "lines", at_once=_LINES_AT_ONCE)


def _refuse(joining: Sequence["asyncio.Future[Stream]"], error: StoreAway) -> None:
    for joined in joining:
        if not joined.done():
            joined.set_exception(error)


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """When one of them is set, or that many seconds have passed."""
    waiting = [asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
