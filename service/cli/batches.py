"""Logs of hours and days → batches for a backtest: files, or what the service has kept.

However the lines are cut, the same incidents come out; so batches are large, and what a batch costs is shared by many lines.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from parsers.frame import Frame, Reading, read_frame
from parsers.line import Origin
from parsers.logs_text import to_body
from parsers.traffic import minutes_of
from service.cli.recording import is_bodies
from service.detect.backtest import Batch

if TYPE_CHECKING:
    from service.cli.client import Client

# Some 8,000 lines: fewer cost more each, more gain nothing.
_BATCH_BYTES = 2 << 20
_LENGTH = re.compile(rb"([0-9]{1,10}) <")
_HEADER = re.compile(rb"\n(?=\d{4}-\d\d-\d\d[T ])")
# Events have ids of their own beside those that minutes have (`minute_events.py`).
_FIRST_ID = 1 << 100


@dataclass(frozen=True, slots=True)
class Read:
    """A batch, how many lines and bytes it was made of, and the earliest time of a line of it."""

    batch: Batch
    lines: int
    bytes: int
    first_at: datetime


class Reader:
    """Reads bodies into batches, and gives each event an id."""

    def __init__(self, origin: Origin, reading: Reading) -> None:
        self._origin = origin
        self._reading = reading
        self._ids = count(_FIRST_ID)

    def file(self, raw: bytes, *, now: datetime) -> Iterator[Read]:
        """The batches of a file: drain bodies, or text as `heroku logs` prints it."""
        if is_bodies(raw):
            for body in _bodies_of(raw):
                yield self._read(body, now, size=len(body))
            return
        for text in _texts_of(raw):
            yield self._read(to_body(text), now, size=len(text))

    def kept(self, items: Sequence[Mapping[str, Any]]) -> Iterator[Read]:
        """The batches of a page of stored bodies. Those that came one after the other are read as one; each event has its own
        time of receipt."""
        for some in _together(items):
            bodies = [base64.b64decode(one["body"]) for one in some]
            times = [datetime.fromisoformat(one["received_at"]) for one in some]
            ends = list(accumulate(one["lines"] for one in some))
            frame = self._frame(b"".join(bodies), times[-1])
            events = (
                replace(event, received_at=times[min(bisect_right(ends, event.place), len(times) - 1)])
                for event in frame.events
            )
            yield self._batch(replace(frame, events=tuple(events)), size=sum(map(len, bodies)), heard_at=times[-1])

    def _read(self, body: bytes, received_at: datetime, *, size: int) -> Read:
        return self._batch(self._frame(body, received_at), size=size)

    def _frame(self, body: bytes, received_at: datetime) -> Frame:
        return read_frame(body, self._origin, received_at, self._reading)

    def _batch(self, frame: Frame, *, size: int, heard_at: datetime | None = None) -> Read:
        events = [replace(event, id=UUID(int=next(self._ids))) for event in frame.events]
        batch = Batch(events, frame.newest_at, minutes_of(frame.traffic), heard_at)
        return Read(batch, frame.messages, size, frame.first_at)


async def stored(
    client: "Client", reader: Reader, *, app: str, since: str | None, until: str | None
) -> AsyncIterator[Read]:
    """The batches of what the service has kept of an app, page by page."""
    cursor: str | None = None
    while True:
        params = {"app": app, "since": since, "until": until, "cursor": cursor}
        page = await client.call("GET", "/v1/chunks", params=params)
        for read in reader.kept(page["items"]):
            yield read
        cursor = page["next_cursor"]
        if cursor is None:
            return


def now() -> datetime:
    """When what stands in a file is read: no line of it counts later."""
    return datetime.now(UTC)


def _bodies_of(raw: bytes) -> Iterator[bytes]:
    """The bodies in pieces of whole messages; from where that cannot be told on, the rest."""
    begin = at = 0
    while at < len(raw):
        found = _LENGTH.match(raw, at)
        if found is None:
            break
        at = found.end() - 1 + int(found[1])
        if at - begin >= _BATCH_BYTES:
            yield raw[begin:at]
            begin = at
    if begin < len(raw):
        yield raw[begin:]


def _texts_of(raw: bytes) -> Iterator[bytes]:
    """The text in pieces of whole lines, each beginning with one that has a header."""
    begin = 0
    while len(raw) - begin > _BATCH_BYTES:
        found = _HEADER.search(raw, begin + _BATCH_BYTES)
        if found is None:
            break
        yield raw[begin : found.end()]
        begin = found.end()
    yield raw[begin:]


def _together(items: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    some: list[Mapping[str, Any]] = []
    size = 0
    for one in items:
        some.append(one)
        size += len(one["body"])
        if size >= _BATCH_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
