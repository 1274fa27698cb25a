"""The niceness of threads."""

import os
import sys
import threading

import pytest

from graph_server.priority import with_niceness

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_that_is_started_at_a_niceness_has_it_and_the_caller_does_not() -> None:
    before = _niceness()
    found: list[int] = []

    def start() -> threading.Thread:
        thread = threading.Thread(target=lambda: found.append(_niceness()))
        thread.start()
        return thread

    with_niceness(3, start).join()
    with_niceness(0, start).join()
    with_niceness(100, start).join()
    assert found == [min(19, before + 3), before, 19]
    assert _niceness() == before


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        with_niceness(1, lambda: 1 // 0)
