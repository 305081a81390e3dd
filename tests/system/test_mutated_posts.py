"""Mutated bodies over HTTP: each is answered 204 in time, and its good messages are there afterwards."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ledger import APP, kept_texts
from mutated import Mutated, mutated
from processes import Service, end_postgres, service
from service.cli.logplex import Node, Piece
from soak import MUTATED_POSTS, SOAK

CONNECTIONS = 8
_LAST = re.compile(r" ms n=(\d{9})(?!\d)")


async def test_whatever_is_posted_costs_no_good_message_and_makes_no_5xx(open_folder: Path) -> None:
    home = open_folder / "home"
    seed = random.randrange(1 << 32) if SOAK else 1
    try:
        async with service("serve", home=home) as served:
            served.start()
            await served.ready()
            drain = await served.post("/v1/drains", {"app": APP, "environment": "production"})
            bodies = mutated(MUTATED_POSTS, seed=seed)
            tallies = await asyncio.gather(*(post(served, drain["secret"], bodies) for _ in range(CONNECTIONS)))
            assert sum((Counter(one) for one in tallies), Counter()) == {204: MUTATED_POSTS}, seed
            texts = await kept_texts(served, APP)
            found = Counter(int(number) for text in texts for number in _LAST.findall(text))
            assert found == dict.fromkeys(range(MUTATED_POSTS), 1), seed
            assert await served.end() == 0
    finally:
        await end_postgres(home)


async def post(served: Service, secret: str, bodies: Iterator[Mutated]) -> dict[int, int]:
    """Posts body after body over one connection; how often each status was answered."""
    node = Node(f"{served.url}/drain", app=APP, secret=secret)
    try:
        for one in bodies:
            await node.post([Piece(one.body, None)])
    finally:
        await node.close()
    return node.tally.answers
