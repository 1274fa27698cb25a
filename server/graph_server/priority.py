"""The system's priority of threads."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


def with_niceness(niceness: int, call: Callable[[], Result]) -> Result:
    """``call``'s result, from a thread whose niceness is that much higher (0…19), as is that of threads it starts.

    Linux gives each thread a niceness of its own and inherits it (sched(7)); other systems just make the call.
    """
    if not niceness or sys.platform != "linux":
        return call()
    with ThreadPoolExecutor(1, initializer=_yield_more, initargs=(niceness,)) as thread:
        return thread.submit(call).result()


def _yield_more(niceness: int) -> None:
    thread = threading.get_native_id()
    with suppress(OSError):  # a sandbox may forbid it; then all are alike
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + niceness))
