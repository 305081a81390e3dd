"""Python's collector of cycles, for processes that make and drop many small values and few cycles.

By default it looks at what is young after each 700 values, which while 3,000 lines are read is a tenth of the processor's time,
and finds nothing: what is read goes as soon as nobody needs it.
"""

import gc

# So many more values are made than have gone before it looks; every twentieth time at older ones, and of those every fiftieth
# at all.
_THRESHOLDS = (50_000, 20, 50)


def settle() -> None:
    """From now on it looks seldom, and never at what is there already: modules, rules, routes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
