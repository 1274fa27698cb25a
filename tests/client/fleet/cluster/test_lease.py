"""Which placement of a stream may deliver."""

import subprocess
import sys
import threading

import pytest

from stream_client.errors import StreamClientError
from stream_client.fleet.cluster.lease import Lease
from tests.support.waiting import wait_until


class Head:
    """Says which placement is the newest, unless it is away."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.there.set()

    def newest(self) -> int:
        if not self.there.is_set():
            raise ConnectionError("nobody answers")
        return 1


def test_results_wait_while_the_head_does_not_answer() -> None:
    head = Head()
    lease = Lease(head.newest, 1)
    try:
        lease.check(None)
        head.there.clear()
        wait_until(lambda: not lease.valid)
        waiting = threading.Thread(target=lease.check, args=(None,))
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
    lease = Lease(head.newest, 1)
    lease.close()
    with pytest.raises(StreamClientError, match="head did not answer"):
        lease.check(None)


def test_the_process_of_an_older_placement_ends() -> None:
    code = "from stream_client.fleet.cluster.lease import Lease; Lease(lambda: 2, 1).check(None); print('delivered')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
