"""The cost of a call against that of another: a bound that holds on a machine of any speed, and on one that is busy."""

import gc
import time
from collections.abc import Callable

_ROUNDS = 4
# Below it, noise.
_LEAST_SECONDS = 0.001


def times_as_much(large: Callable[[], object], small: Callable[[], object]) -> float:
    """How many times the CPU time of `small` it takes to call `large`: the least of some calls each, made in turns."""
    of_each: tuple[list[float], list[float]] = ([], [])
    gc.disable()  # it looks through all that the tests before have left
    try:
        for _ in range(_ROUNDS):
            for call, seconds in zip((large, small), of_each, strict=True):
                began = time.process_time()
                call()
                seconds.append(time.process_time() - began)
    finally:
        gc.enable()
    larges, smalls = of_each
    return min(larges) / max(min(smalls), _LEAST_SECONDS)
