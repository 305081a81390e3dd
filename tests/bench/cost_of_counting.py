"""What counting costs a frame: at its receipt, in a commit of 32 frames, and at its answer.

Run as `python tests/bench/cost_of_counting.py`.
"""

import timeit
from collections.abc import Callable
from datetime import UTC, datetime

from traffic import bodies, lines

from parsers.frame import Reading, read_frame
from parsers.line import Origin
from service import metrics
from service.ingest.tallies import Kept, Tallies
from service.store.drains import DrainCredentials

PER_COMMIT = 32


def main() -> None:
    """Prints microseconds a frame, for bodies of 5 and of 100 lines."""
    now = datetime.now(UTC)
    drain = DrainCredentials(1, 1, "bench-prod", "production", b"", None, None, None)
    for per_body in (5, 100):
        read = [
            read_frame(body, Origin("bench-prod", "production"), now, Reading())
            for body in bodies(list(lines(per_body * PER_COMMIT)), per_body)
        ]
        tallies, sent, kept = Tallies(), [drain] * PER_COMMIT, [Kept(drain, frame) for frame in read]
        headers = {
            b"logplex-msg-count": b"%d" % per_body,
            b"logplex-drain-token": b"d.fc6b856b-3332-4546-93de-7d0ee272c3bd",
        }
        received = _microseconds(lambda: tallies.heard(drain, headers, now))  # noqa: B023
        committed = _microseconds(lambda: tallies.committed(sent, kept, seconds=0.01)) / PER_COMMIT  # noqa: B023
        answered = _microseconds(lambda: metrics.ANSWERS.note(204, 0.01))
        print(
            f"counting, {per_body} lines a body: {received + committed + answered:.2f} µs a frame "
            f"(receipt {received:.2f}, commit {committed:.2f}, answer {answered:.2f}); goal 2"
        )


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=2000, repeat=10)) / 2000 * 1e6


if __name__ == "__main__":
    main()
