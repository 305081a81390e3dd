"""Bodies as no sender should make them: those of the samples, with a few stretches replaced, lost, doubled or swapped.

Each is wrapped: in front of it stands a good message, and behind it another one whose octet count leads to the body's end,
which is how a message proves itself. Both must survive, whatever stands between them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from telling import SAMPLES, scenarios
from vocabulary import message

# What a count, a header or a text may be mistaken for.
_TOKENS = (
    b"9",
    b" ",
    b"<",
    b">",
    b"\n",
    b"0",
    b"\x00",
    b"\xff",
    b"99 <45>1 ",
    b"1" * 30,
    b"-",
    b"<45>1 ",
    b"[a b=",
    b'"',
)
_MOST_MESSAGES = 12


@dataclass(frozen=True, slots=True)
class Mutated:
    """A body, and the two messages in it that are good; `last` has `number` in it."""

    number: int
    first: bytes
    last: bytes
    body: bytes


def mutated(count: int, *, seed: int) -> Iterator[Mutated]:
    """`count` bodies, the same for the same `seed`."""
    chance = random.Random(seed)
    samples = _samples()
    for number in range(count):
        first = message("app", "web.1", f"begins b={number:09}")
        last = message("app", "web.1", f"took {chance.randrange(100)} ms n={number:09}")
        middle = bytearray(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            _mutate(middle, samples, chance)
        yield Mutated(number, first, last, first + bytes(middle) + last)


def _samples() -> list[bytes]:
    found = [path.read_bytes() for path in sorted((SAMPLES / "frames").glob("*.frame"))]
    for scenario in scenarios():
        begins = range(0, len(scenario.messages), _MOST_MESSAGES)
        found += [b"".join(scenario.messages[at : at + _MOST_MESSAGES]) for at in begins]
    return found


def _mutate(body: bytearray, samples: list[bytes], chance: random.Random) -> None:
    """One change, somewhere; often near the begin of a message, where most depends on each byte."""
    at = chance.randrange(len(body) + 1)
    if chance.random() < 0.5 and (begin := body.find(b" <", at)) >= 0:
        at = max(0, begin + chance.randint(-4, 6))
    end = at + chance.choice((0, 1, 1, 2, 5, 40, 400))
    kind = chance.randrange(6)
    if kind == 0:
        body[at:end] = chance.choice(_TOKENS)
    elif kind == 1:
        body[at:end] = chance.randbytes(chance.choice((1, 1, 3, 20)))
    elif kind == 2:
        del body[at:end]
    elif kind == 3:
        body[at:at] = body[at:end]
    elif kind == 4:
        other = chance.choice(samples)
        begin = chance.randrange(len(other) + 1)
        body[at:end] = other[begin : begin + chance.choice((1, 10, 100, 1000))]
    else:
        body[at:end] = bytes(reversed(body[at:end]))
