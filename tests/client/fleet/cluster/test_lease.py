"""Which process may deliver the results of its streams."""

import subprocess
import sys
import threading

import pytest

from stream_client.errors import StreamClientError
from stream_client.fleet.cluster.lease import Lease
from tests.support.waiting import wait_until

RUNS = threading.Event()
"""Of a stream that has not ended."""


class Head:
    """Says that it knows a process, unless it is away."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.there.set()

    def knows(self) -> bool:
        if not self.there.is_set():
            raise ConnectionError("nobody answers")
        return True


def test_results_wait_while_the_head_does_not_answer() -> None:
    head = Head()
    lease = Lease(head.knows)
    try:
        lease.check(RUNS)
        head.there.clear()
        wait_until(lambda: not lease.valid)
        waiting = threading.Thread(target=lease.check, args=(RUNS,))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        head.there.set()
        waiting.join(20)
        assert not waiting.is_alive()
    finally:
        lease.close()


def test_what_waits_when_the_stream_is_stopped_fails() -> None:
    head = Head()
    head.there.clear()
    lease = Lease(head.knows)
    ended = threading.Event()
    ended.set()
    try:
        with pytest.raises(StreamClientError, match="head did not answer"):
            lease.check(ended)
    finally:
        lease.close()


def test_a_process_that_the_head_has_forgotten_ends() -> None:
    code = (
        "import threading; from stream_client.fleet.cluster.lease import Lease; "
        "Lease(lambda: False).check(threading.Event()); print('delivered')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
