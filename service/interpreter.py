"""Python's interpreter, set for processes that make and drop many small values, and give work to threads that need it little.

By default its collector of cycles looks at what is young after each 700 values, which while 3,000 lines are read is a tenth of
the processor's time, and finds nothing: what is read goes as soon as nobody needs it. And a thread that is to compress a chunk
would not begin for 5 ms, until whoever reads lines lets go of the interpreter, though it wants that for microseconds only.
"""

import gc
import sys

# So many more values are made than have gone before it looks; every twentieth time at older ones, and of those every fiftieth
# at all.
_THRESHOLDS = (50_000, 20, 50)
_SWITCH_SECONDS = 0.0002


def settle() -> None:
    """From now on the collector looks seldom, and never at what is there already (modules, rules), and threads take turns
    sooner."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_SECONDS)
