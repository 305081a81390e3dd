"""What may go otherwise than in the best of all networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from service.cli.logplex.answers import ANSWER_SECONDS, CONNECT_SECONDS


@dataclass(frozen=True, slots=True)
class Habits:
    """How a node behaves, and what the network does to its requests; shares are from 0 to 1, of all tries.

    `answers_lost`: the request arrives, its answer does not. `late`: the request arrives `late_s` after it was sent; where
    that is later than `answer_s`, its own repeat may overtake it. `skew`: by process (`router`, `web.1`), how much its
    clock is ahead. `shield`: as log-shuttle posts in a Shield Private Space. Logplex waits up to 5.11 s between two attempts to
    connect, and never gives up: `delay_most_s` bounds the wait, `connect_for_s` the attempts.
    """

    answers_lost: float = 0.0
    late: float = 0.0
    late_s: float = ANSWER_SECONDS + 1
    skew: Mapping[str, timedelta] = field(default_factory=dict)
    shield: bool = False
    answer_s: float = ANSWER_SECONDS
    connect_s: float = CONNECT_SECONDS
    delay_most_s: float = 5.11
    connect_for_s: float | None = None
