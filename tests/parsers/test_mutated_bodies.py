"""Mutated bodies through the parser: nothing raises, nothing hangs, each byte is kept, and no good message is lost."""

import random
import time

from mutated import Mutated, mutated
from parsers.octet_counting import Message, split_messages
from soak import MUTATED_BODIES, SOAK
from tests.parsers.readings import frame

# A guard, not a measurement: on the usual mix a byte takes 0.01 µs, and the machine may pause.
SECONDS_PER_BYTE, PAUSE_SECONDS = 1e-6, 5.0


def test_mutated_bodies_keep_each_byte_and_each_good_message() -> None:
    seed = random.randrange(1 << 32) if SOAK else 1
    swallowed = 0
    for one in mutated(MUTATED_BODIES, seed=seed):
        began = time.process_time()
        read = frame(one.body)
        took = time.process_time() - began
        assert took < PAUSE_SECONDS + SECONDS_PER_BYTE * len(one.body), (seed, one.number, len(one.body), took)
        swallowed += check(one, seed)
        assert read.body.startswith(one.first), (seed, one.number)
        assert read.body.endswith(one.last.partition(b" ")[2]), (seed, one.number)
    # A wrong count may happen to lead to the very end: then it is as good as the right one. That is rare.
    assert swallowed < 10 + MUTATED_BODIES / 1000


def check(one: Mutated, seed: int) -> bool:
    """Whether the last message is inside of another, whose count holds."""
    pieces = split_messages(one.body)
    raw = [one.body[piece.at : piece.end] if isinstance(piece, Message) else piece.body for piece in pieces]
    assert b"".join(raw) == one.body, (seed, one.number)
    messages = [piece for piece in pieces if isinstance(piece, Message)]
    assert messages[0].counted == one.first, (seed, one.number)
    last = messages[-1]
    if last.body == one.last.partition(b" ")[2]:  # a `0` may have come to stand before its count
        return False
    assert last.end == len(one.body), (seed, one.number)
    assert last.counted == one.body[last.at :], (seed, one.number)
    assert last.counted.endswith(one.last), (seed, one.number)
    return True
