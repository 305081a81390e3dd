"""The bound, in bytes, on what is being received and not yet committed; who comes above it waits."""

import asyncio
from collections import deque

from service import metrics


class Admission:
    """At most `bound` bytes are inside at any time; who does not fit waits in line, first come first served."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._inside = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def inside(self) -> int:
        """Bytes admitted and not yet released."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    async def enter(self, size: int) -> None:
        """Admits `size` bytes, sooner or later; the caller bounds the wait. Larger than the bound is let in alone."""
        if self.enters(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append((size, turn))
        try:
            with metrics.ADMISSION_WAIT.time():
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in and given up at the same moment
                self.leave(size)
            else:
                self._line = deque(one for one in self._line if one[1] is not turn)
                self._let_in()
            raise

    def enters(self, size: int) -> bool:
        """Admits `size` bytes if it can be at once."""
        if self._line or not self._fits(size):
            return False
        self._inside += size
        return True

    def leave(self, size: int) -> None:
        """Releases what was admitted."""
        self._inside -= size
        self._let_in()

    def _fits(self, size: int) -> bool:
        return self._inside == 0 or self._inside + size <= self._bound

    def _let_in(self) -> None:
        while self._line and self._fits(self._line[0][0]):
            size, turn = self._line.popleft()
            if not turn.cancelled():
                self._inside += size
                turn.set_result(None)
