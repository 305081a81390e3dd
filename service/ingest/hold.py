"""How long a request may take, with one timer for all of them.

`asyncio.timeout` makes a timer for each, which is 6 µs of the 22 that the endpoint takes for a small frame. But all may take
the same time, so they end in the order in which they began, and only the first of them need be looked at.
"""

import asyncio
from types import TracebackType
from typing import Protocol


class Ending(Protocol):
    """What may last until `until`, by the clock of `loop`; then it is given up, perhaps more than once."""

    loop: asyncio.AbstractEventLoop
    until: float

    def give_up(self) -> None:
        """Its time is over."""


class Hold:
    """Gives each task that begins with it, or whatever else enters it, so many seconds. Belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._held: dict[Ending, None] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> "Held":
        """What the running task enters `with`: in so many seconds from now that raises TimeoutError, as `asyncio.timeout`
        does. It is entered once, at once."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        return Held(self, loop, task)

    def enter(self, held: Ending) -> None:
        """From now on `held` is given up at its end, `seconds` from now."""
        self._held[held] = None
        if self._timer is None:
            self._timer = held.loop.call_at(held.until, self._ring, held.loop)

    def leave(self, held: Ending) -> None:
        """`held` is over."""
        del self._held[held]

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        due = loop.time() + 0.001  # timers are exact to a millisecond
        for held in self._held:
            if held.until > due:
                self._timer = loop.call_at(held.until, self._ring, loop)
                return
            held.give_up()


class Held:
    """One task, from `began` to `until` at the latest, by the clock of its loop."""

    __slots__ = ("_cancelling", "_given_up", "_hold", "_task", "began", "loop", "until")

    def __init__(self, hold: Hold, loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
        self.loop = loop
        self.began = loop.time()
        self.until = self.began + hold.seconds
        self._hold = hold
        self._task = task
        self._cancelling = task.cancelling()
        self._given_up = False

    def give_up(self) -> None:
        """Its time is over."""
        if not self._given_up:
            self._given_up = True
            self._task.cancel()

    def __enter__(self) -> None:
        self._hold.enter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hold.leave(self)
        # Somebody else may have cancelled the task as well, and is obeyed.
        if self._given_up and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
