"""What a process saves while its modules load."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def without_collections() -> Iterator[None]:
    """For imports at the start of a process. What they make stays, and no later collection looks at it either.

    The collector would look at 100,000 objects several times, 60 ms in all, to find a few hundred that are garbage.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        freeze_once()
        if enabled:
            gc.enable()


@cache
def freeze_once() -> None:
    """What is there now stays for ever; a second time, that would be what others made meanwhile, too."""
    gc.freeze()


def let_idle_threads_sleep() -> None:
    """Call it before NumPy is loaded, whose OpenBLAS starts threads that spin for 20 ms before they first sleep.

    The shortest time that it takes is 2^4 cycles. Whoever has set the variable decides.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
