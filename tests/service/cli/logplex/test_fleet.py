import pytest

from parsers.frame import read_lines
from service.cli.logplex import fleet, piece_of
from vocabulary import NOON, message

from ..receiver import receiver


async def test_messages_are_spread_over_the_nodes_and_all_arrive() -> None:
    async with receiver() as here, fleet(here.url, app="shop", secret="s", nodes=3, seed=1) as nodes:
        for number in range(300):
            nodes.put(piece_of(message("app", "web.1", f"line {number}")))
        await nodes.emptied()

    bodies = [got.body for got in here.got]
    texts = [line.text for body in bodies for line in read_lines(body, NOON)]
    assert here.connections == 3
    assert texts != sorted(texts, key=lambda text: int(text.split()[1]))
    assert sorted(texts) == sorted(f"line {number}" for number in range(300))
    assert nodes.tally.messages == 300


async def test_what_goes_wrong_in_a_node_is_heard() -> None:
    def broken(*_: object) -> None:
        raise ValueError("broken")

    async with receiver() as here, fleet(here.url, app="shop", secret="s", ended=broken) as nodes:
        nodes.put(piece_of(message("app", "web.1", "hello")))
        with pytest.raises(ValueError, match="broken"):
            await nodes.emptied()
