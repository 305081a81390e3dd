"""Numbered lines, and what became of each: given to Logplex, answered 204, given up; then, kept by the service or not."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from processes import Service
from service.cli.logplex import Fleet, Piece, piece_of
from vocabulary import message

APP = "shop"
# How often lines are handed over: as if a few dynos wrote them.
TICK_SECONDS = 0.02


class Ledger:
    """Who writes the lines and remembers them; `ended` is for the nodes to tell what they know."""

    def __init__(self) -> None:
        self.given = 0
        self.acknowledged: set[int] = set()
        self.given_up: set[int] = set()
        self.last_acknowledged_at = 0.0

    def line(self) -> Piece:
        """The next line."""
        number, self.given = self.given, self.given + 1
        return piece_of(message("app", "web.1", f"GET /orders took 12 ms n={number:09}", datetime.now(UTC)))

    def ended(self, pieces: Sequence[Piece], taken: bool) -> None:
        """What a node has to say of a frame."""
        numbers = [int(piece.wire[-10:-1]) for piece in pieces]
        if taken:
            self.last_acknowledged_at = monotonic()
        (self.acknowledged if taken else self.given_up).update(numbers)

    def compare(self, kept: Sequence[int]) -> None:
        """Nothing that was answered 204 is missing, and nothing is there twice."""
        doubled = sorted(number for number, times in Counter(kept).items() if times > 1)
        missing = sorted(self.acknowledged - set(kept))
        assert not missing, f"{len(missing)} were answered 204 and are not there: {missing[:20]}"
        assert not doubled, f"{len(doubled)} are there more than once: {doubled[:20]}"
        assert set(kept) <= set(range(self.given)), "lines that nobody wrote"


async def pour(logplex: Fleet, ledger: Ledger, *, per_second: float) -> None:
    """Writes lines until cancelled."""
    began, before = monotonic(), ledger.given
    while True:
        for _ in range(int((monotonic() - began) * per_second) - (ledger.given - before)):
            logplex.put(ledger.line())
        await asyncio.sleep(TICK_SECONDS)


async def kept_numbers(served: Service, app: str = APP) -> list[int]:
    """The numbers of all lines that the service has."""
    return [int(text.rpartition("n=")[2]) for text in await kept_texts(served, app) if " n=" in text]


async def kept_texts(served: Service, app: str) -> list[str]:
    """The texts of all lines of an app."""
    texts: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await served.get("/v1/lines", app=app, limit=1000, **cursor)
        texts += [line["message"] for line in page["items"]]
        if page["next_cursor"] is None:
            return texts
        cursor = {"cursor": page["next_cursor"]}


async def announced_losses(served: Service) -> int:
    """How many messages the L10 lines say were lost: of those with one `since`, the greatest."""
    events = await served.get("/v1/events", app=APP, kind="logplex_error", limit=1000)
    assert events["next_cursor"] is None
    greatest: dict[str, int] = {}
    for event in events["items"]:
        since = event["fields"]["since"]
        greatest[since] = max(event["fields"]["count"], greatest.get(since, 0))
    return sum(greatest.values())
