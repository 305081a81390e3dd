"""How long a line takes to read: `read_frame` against a plain loop that finds each length and splits each header.

    python -m tests.bench.parse [--profile]

Bodies of 100 lines of the usual mix (`traffic.py`), with redaction and the packaged event tables on. Each figure is the
median of several runs, the two taken in turns.
"""

import cProfile
import statistics
import sys
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, record

from parsers.frame import Reading, read_frame
from parsers.kinds.named import EventTable
from parsers.line import Origin
from tests.bench import traffic

LINES, A_BODY, RUNS = 20_000, 100, 9
DEFAULTS = Path(__file__).parents[2] / "service" / "defaults.toml"


def plain_loop(body: bytes) -> int:
    """Each length found, each header split: what any receiver does at the least. Gives the number of messages."""
    at, messages = 0, 0
    while at < len(body):
        space = body.index(b" ", at)
        end = space + 1 + int(body[at:space])
        body[space + 1 : end].split(b" ", 7)
        at, messages = end, messages + 1
    return messages


def seconds(read: Callable[[bytes], object], bodies: list[bytes]) -> float:
    """Processor time, so that what else the machine does counts little."""
    begin = time.process_time()
    for body in bodies:
        read(body)
    return time.process_time() - begin


def main() -> None:
    """Prints both figures and their ratio; with `--profile` where the time goes."""
    tables = tuple(EventTable(table["name"], table["kind"]) for table in tomllib.loads(DEFAULTS.read_text())["events"])
    reading, origin, now = Reading(tables=tables), Origin("shop", "production"), datetime.now(UTC)
    bodies = traffic.bodies(list(traffic.lines(LINES)), A_BODY)

    def read(body: bytes) -> object:
        return read_frame(body, origin, now, reading)

    if "--profile" in sys.argv:
        with cProfile.Profile() as profile:
            seconds(read, bodies)
        profile.print_stats("tottime")
        return
    runs = [(seconds(read, bodies), seconds(plain_loop, bodies)) for _ in range(RUNS)]
    ours, theirs = (statistics.median(times) / LINES * 1e6 for times in zip(*runs, strict=True))
    ratio = statistics.median(one / other for one, other in runs)
    size = sum(map(len, bodies)) / LINES
    what = f"parse alone, {size:.0f} bytes a line"
    record(Figure(what, f"{ours:.2f} µs a line", f"plain loop {theirs:.2f} µs", f"{ratio:.2f}", "under 5", ratio < 5))


if __name__ == "__main__":
    main()
