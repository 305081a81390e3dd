"""One node of Logplex that drains one app's messages to one URL: a frame's three tries, and the loop over the buffer.

A frame is posted with `post`; or messages are put into the buffer with `put`, and `run` sends them.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from service.cli.logplex import pieces as wire
from service.cli.logplex.answers import (
    IDLE_SECONDS,
    IDLE_SPREAD_SECONDS,
    NO_ANSWER,
    TRIES,
    Verdict,
    delay_s,
    shuttle_verdict,
    verdict,
)
from service.cli.logplex.buffer import Buffer
from service.cli.logplex.connection import Connection, NoAnswer
from service.cli.logplex.habits import Habits
from service.cli.logplex.losses import Losses, Notice, loss_line
from service.cli.logplex.pieces import Piece
from service.cli.logplex.request import Target, logplex_request, shuttle_request
from service.cli.logplex.tally import Tally
from service.errors import DrainwatchError

# Called with a frame's pieces when its fate is known, and whether it was taken.
Ended = Callable[[Sequence[Piece], bool], None]


class Node:
    """A node that posts to `url`, which ends in `/drain` and has no credentials in it.

    `ended` is called with each frame whose fate is known. `chance` makes what happens at random happen the same again;
    `clock` tells how long ago the last success was, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        app: str,
        secret: str,
        drain_token: str | None = None,
        habits: Habits | None = None,
        ended: Ended | None = None,
        chance: random.Random | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._chance = chance or random.Random()  # noqa: S311
        self._clock = clock
        token = drain_token or f"d.{uuid4()}"
        self._target = Target.of(url, app=app, secret=secret, drain_token=token)
        self._url = url
        self._habits = habits or Habits()
        self._ended = ended
        self._buffer = Buffer()
        self._losses = Losses()
        self._connection: Connection | None = None
        self._attempt = 0
        self._succeeded_at = self._clock()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._on_their_way: set[asyncio.Task[None]] = set()
        self.tally = Tally()

    async def close(self) -> None:
        """Closes the connection; a request that is late does not arrive any more."""
        for task in self._on_their_way:
            task.cancel()
        await asyncio.gather(*self._on_their_way, return_exceptions=True)
        self._disconnect()

    @property
    def connect_attempts(self) -> int:
        """How often it has tried to connect since it last was."""
        return self._attempt

    @property
    def waiting(self) -> int:
        """How many messages are in the buffer."""
        return len(self._buffer)

    def put(self, piece: Piece) -> None:
        """A message for `run` to send; the oldest ones may be lost for it."""
        self._lose(self._buffer.put(piece))
        self._emptied.clear()
        self._filled.set()

    async def emptied(self) -> None:
        """Returns when all that was put was taken or lost."""
        await self._emptied.wait()

    async def run(self) -> None:
        """Sends what is put, frame by frame, until cancelled."""
        while True:
            while frame := self._buffer.take():
                await self.post(frame)
            self._emptied.set()
            self._filled.clear()
            await self._filled.wait()

    async def post(self, pieces: Sequence[Piece], *, frame_id: str | None = None) -> bool:
        """Sends one frame, as often as Logplex would; whether it was taken. `frame_id` is one that was sent before.

        Raises DrainwatchError where connecting is given up.
        """
        name = frame_id or f"{self._chance.getrandbits(128):032X}"
        said = [self._as_here(piece) for piece in pieces]
        result = Verdict.AGAIN
        for number in range(TRIES):
            self.tally.repeats += number > 0
            notice = self._losses.notice(datetime.now(UTC)) if not self._habits.shield else None
            status = await self._try(self._request(said, name, notice))
            result = (shuttle_verdict if self._habits.shield else verdict)(status)
            if result is Verdict.TAKEN:
                self._losses.announced(notice)
                self._succeeded_at = self._clock()
                self._buffer.succeeded(self._succeeded_at)
                break
            if result is Verdict.DROPPED:
                break
            self._disconnect()
            self._lose(self._buffer.failed(self._clock()))
        self._finish(pieces, taken=result is Verdict.TAKEN)
        return result is Verdict.TAKEN

    def _request(self, said: Sequence[Piece], name: str, notice: Notice | None) -> bytes:
        """The frame's request; the L10 line in front is made anew for each try."""
        body = b"".join(piece.wire for piece in said)
        messages = wire.count(said)
        if self._habits.shield:
            request_id = str(UUID(hex=name)) if len(name) == 32 else name
            return shuttle_request(self._target, request_id=request_id, messages=messages, body=body)
        if notice:
            messages += 1
            now = datetime.now(UTC) + self._habits.skew.get("logplex", timedelta())
            body = loss_line(notice, now) + body
        return logplex_request(self._target, frame_id=name, messages=messages, body=body)

    async def _try(self, request: bytes) -> int:
        """The answer's status, NO_ANSWER where none came."""
        connection = await self._connected()
        began = monotonic()
        try:
            if self._chance.random() < self._habits.late:
                self._connection = None  # it is the late request's now
                self._detach(self._arrive_late(connection, request))
                await asyncio.sleep(self._habits.answer_s)
                raise NoAnswer(f"none within {self._habits.answer_s:g} s")
            answer = await connection.ask(request, limit_s=self._habits.answer_s)
            if self._chance.random() < self._habits.answers_lost:
                raise NoAnswer("lost on its way back")
        except NoAnswer as error:
            status, self.tally.last_refusal = NO_ANSWER, f"no answer ({error})"
        else:
            status = answer.status
            self.tally.last_refusal = "" if 200 <= status <= 299 else f"{status} {answer.text}"
            self.tally.slowest_s = max(self.tally.slowest_s, monotonic() - began)
        self.tally.answers[status] = self.tally.answers.get(status, 0) + 1
        return status

    async def _connected(self) -> Connection:
        """The connection, made where there is none, for as long as it takes."""
        idle_s = IDLE_SECONDS + IDLE_SPREAD_SECONDS * self._chance.random()
        if self._connection and self._clock() - self._succeeded_at > idle_s:
            self._disconnect()
            self._buffer.idle()
        began = monotonic()
        while self._connection is None:
            self._attempt += 1
            await asyncio.sleep(min(delay_s(self._attempt, self._chance.random()), self._habits.delay_most_s))
            try:
                self._connection = await Connection.open(self._target, limit_s=self._habits.connect_s)
            except OSError as error:
                self._lose(self._buffer.failed(self._clock()))
                limit = self._habits.connect_for_s
                if limit is not None and monotonic() - began > limit:
                    raise DrainwatchError(
                        f"nothing answers at {self._url} (cannot connect for {limit:g} s); is drainwatch running?"
                    ) from error
        self._attempt = 0
        return self._connection

    async def _arrive_late(self, connection: Connection, request: bytes) -> None:
        await asyncio.sleep(self._habits.late_s)
        try:
            await connection.ask(request, limit_s=self._habits.answer_s)
        except NoAnswer:
            pass  # nobody waits for it
        finally:
            connection.close()

    def _detach(self, late: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(late)
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _as_here(self, piece: Piece) -> Piece:
        """The piece as this node sends it."""
        skew = self._habits.skew
        if skew and (by := skew.get(wire.speaker_of(piece))):
            piece = wire.moved(piece, by)
        return wire.as_in_a_shield_space(piece) if self._habits.shield else piece

    def _lose(self, displaced: Sequence[Piece]) -> None:
        """Out of the buffer, and so never sent."""
        if displaced:
            self._losses.displaced(wire.count(displaced))
            self.tally.lost_messages += wire.count(displaced)
            if self._ended:
                self._ended(displaced, False)

    def _finish(self, pieces: Sequence[Piece], *, taken: bool) -> None:
        messages = wire.count(pieces)
        if taken:
            self.tally.frames += 1
            self.tally.messages += messages
        else:
            self._losses.dropped(messages, datetime.now(UTC))
            self.tally.lost_messages += messages
        if self._ended:
            self._ended(pieces, taken)
