"""Mutated lines through every reader: whatever stands in a text, it is read, and its events can be kept as JSON."""

import json
import random
from collections.abc import Iterator

from parsers.frame import read_lines
from soak import SOAK
from tests.parsers.readings import frame
from tests.parsers.test_sample_lines import samples
from tests.parsers.test_stack_traces import TRACES, sample
from tests.vocabulary import NOON, counted

LINES = 1_000_000 if SOAK else 4_000
A_BODY = 50
STAMP = b"2026-05-11T12:00:00+00:00"
BITS = [
    b"",
    b" ",
    b'"',
    b"\\",
    b"=",
    b"(",
    b")",
    b"[",
    b"]",
    b"\n",
    b"\t",
    b"    at ",
    b":",
    b"`",
    b"'",
    b"{",
    b"\x00",
    b"\xff",
    b"9" * 30,
]


def lines() -> list[tuple[str, bytes]]:
    """Source and process, and text, of every sample."""
    found = []
    for _, line, _ in samples():
        speaker, _, text = line.partition("] ")
        found.append((speaker.replace("[", " "), text.encode()))
    for path in TRACES:
        found += [("app web.1", text.encode()) for text in sample(path)[0]]
    return found


def mutated(seed: int) -> Iterator[bytes]:
    """Messages whose header is whole and whose text is one of the samples', cut, doubled, or with something in it."""
    chance = random.Random(seed)
    known = lines()
    while True:
        at = chance.randrange(len(known))
        for speaker, text in known[at : at + chance.choice((1, 1, 8))]:
            for _ in range(chance.choice((0, 1, 1, 3))):
                cut = chance.randrange(len(text) + 1)
                end = min(len(text), cut + chance.choice((0, 0, 1, 5)))
                text = text[:cut] + chance.choice(BITS) + text[end:] * chance.choice((1, 1, 1, 2, 0))
            source, _, process = speaker.partition(" ")
            yield counted(b"<190>1 %s host %s %s - %s\n" % (STAMP, source.encode(), process.encode(), text[:12_000]))


def test_no_text_is_too_broken_to_be_read_and_kept() -> None:
    seed = random.randrange(1 << 32) if SOAK else 1
    stream = mutated(seed)
    kinds: set[str] = set()
    for number in range(LINES // A_BODY):
        body = b"".join(next(stream) for _ in range(A_BODY))
        read = frame(body)
        assert (read.messages, read.damage) == (A_BODY, ()), (seed, number)
        for event in read.events:
            assert json.loads(json.dumps(dict(event.fields), allow_nan=False)) == event.fields, (seed, number)
            assert "\0" not in event.message + str(event.fields), (seed, number)
            str(event.fields).encode()
        assert sum(1 for _ in read_lines(read.body, NOON)) == A_BODY, (seed, number)
        kinds |= {event.kind for event in read.events}
    assert len(kinds) >= 10
