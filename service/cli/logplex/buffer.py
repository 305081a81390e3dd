"""What waits in a node: the newest 1024 messages, of which a frame takes what fits.

When the last success lies five minutes back, a failure leaves room for ten only, until the first success. Times are seconds
of one clock, whichever.
"""

from collections import deque

from service.cli.logplex.pieces import MOST_MESSAGES, Piece, take_frame

SHRUNK_MESSAGES = 10
SHRINKS_AFTER_S = 300.0


class Buffer:
    """The messages that a node has not sent yet, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[Piece] = deque()
        self._room = MOST_MESSAGES
        self._succeeded_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, piece: Piece) -> list[Piece]:
        """Adds the newest; gives what had to go for it, which is lost."""
        self._waiting.append(piece)
        return self._displaced()

    def take(self) -> list[Piece]:
        """The next frame, which waits here no longer; empty where nothing waits."""
        end = take_frame(list(self._waiting), 0)
        return [self._waiting.popleft() for _ in range(end)]

    def succeeded(self, now: float) -> None:
        """A frame was taken: there is room again."""
        self._succeeded_at = now
        self._room = MOST_MESSAGES

    def failed(self, now: float) -> list[Piece]:
        """A try or a connection failed; gives what is lost because of it. Who never had a success is not made to shrink."""
        if self._succeeded_at is not None and now - self._succeeded_at > SHRINKS_AFTER_S:
            self._room = SHRUNK_MESSAGES
        return self._displaced()

    def idle(self) -> None:
        """The connection was closed because nothing was said: from now on it is as if there never was a success."""
        self._succeeded_at = None

    def _displaced(self) -> list[Piece]:
        return [self._waiting.popleft() for _ in range(len(self._waiting) - self._room)]
