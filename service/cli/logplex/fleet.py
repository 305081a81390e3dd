"""Several nodes that drain one app: its messages are spread over them at random, so there is no order between their frames."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import reduce

from service.cli.logplex.habits import Habits
from service.cli.logplex.node import Ended, Node
from service.cli.logplex.pieces import Piece
from service.cli.logplex.tally import Tally


class Fleet:
    """Nodes that run. A busy app has two to four."""

    def __init__(self, nodes: Sequence[Node], running: Sequence["asyncio.Task[None]"], chance: random.Random) -> None:
        self._nodes = nodes
        self._running = running
        self._chance = chance

    def put(self, piece: Piece) -> None:
        """A message for one of the nodes."""
        self._chance.choice(self._nodes).put(piece)

    async def emptied(self) -> None:
        """Returns when all that was put was taken or lost. Raises what a node raised."""

        async def each() -> None:
            for node in self._nodes:
                await node.emptied()

        empty = asyncio.create_task(each())
        done, _ = await asyncio.wait((empty, *self._running), return_when=asyncio.FIRST_COMPLETED)
        empty.cancel()
        for task in done:
            task.result()

    @property
    def waiting(self) -> int:
        """How many messages are in the fullest buffer."""
        return max(node.waiting for node in self._nodes)

    @property
    def tally(self) -> Tally:
        """That of all nodes."""
        return reduce(lambda one, other: one + other, (node.tally for node in self._nodes))


@asynccontextmanager
async def fleet(
    url: str | Sequence[str],
    *,
    app: str,
    secret: str,
    nodes: int = 3,
    drain_token: str | None = None,
    habits: Habits | None = None,
    ended: Ended | None = None,
    seed: int | None = None,
) -> AsyncIterator[Fleet]:
    """Nodes that run until the block ends; what is not sent then stays unsent. Several URLs are shared out among them."""
    chance = random.Random(seed)  # noqa: S311
    urls = [url] if isinstance(url, str) else url
    made = [
        Node(
            urls[number % len(urls)],
            app=app,
            secret=secret,
            drain_token=drain_token,
            habits=habits,
            ended=ended,
            chance=random.Random(chance.random()),  # noqa: S311
        )
        for number in range(nodes)
    ]
    running = [asyncio.create_task(node.run()) for node in made]
    try:
        yield Fleet(made, running, chance)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for node in made:
            await node.close()
