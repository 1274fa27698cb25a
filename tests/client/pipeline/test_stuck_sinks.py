"""A library user's stop ends a run whose parts are stuck, and the ledger adds up."""

import threading

import numpy as np
import pytest

from stream_client import StreamClient
from stream_client.frames import Frame, Image, Result, StreamInfo


class StuckSink:
    """Takes ``frames`` results, and none after that."""

    name = "stuck"

    def __init__(self, frames: int) -> None:
        self._left = frames
        self.is_stuck = threading.Event()
        self.release = threading.Event()

    def open(self, info: StreamInfo) -> None:
        if self._left < 0:
            self._wait()

    def write(self, result: Result) -> bool:
        if not self._left:
            self._wait()
        self._left -= 1
        return True

    def close(self) -> None:
        """Nothing to do."""

    def _wait(self) -> None:
        self.is_stuck.set()
        self.release.wait(30)


class StuckSource:
    """Gives one frame, and then waits in a call that cannot be interrupted."""

    def __init__(self) -> None:
        self.is_stuck = threading.Event()
        self.release = threading.Event()

    def open(self) -> StreamInfo:
        return StreamInfo("stuck", 64, 48, live=True)

    def read(self) -> Frame | None:
        if not self.is_stuck.is_set():
            self.is_stuck.set()
            return Frame(0, 0, np.zeros((48, 64, 3), np.uint8), 0.0)
        self.release.wait(30)
        return None

    def interrupt(self) -> None:
        """It does not hear."""

    def close(self) -> None:
        """Nothing to do."""


def gray() -> Image:
    return np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("frames", [0, 3])
def test_a_stop_leaves_a_sink_that_is_stuck(frames: int) -> None:
    sink = StuckSink(frames)
    client = StreamClient(gray, sink, lambda request: {})
    with client:
        client.start()
        assert sink.is_stuck.wait(20)
        client.stop()
        summary = client.wait()
    assert summary.ledger.delivered == frames
    assert summary.ledger.pending == 0
    sink.release.set()


def test_a_stop_leaves_a_source_that_is_stuck() -> None:
    source = StuckSource()
    client = StreamClient(source, (), lambda request: {})
    with client:
        client.start()
        assert source.is_stuck.wait(20)
        client.stop()
        summary = client.wait()
    assert summary.ledger.entered == 1
    assert summary.ledger.pending == 0
    source.release.set()


def test_a_callback_that_is_stuck_does_not_hold_up_a_stop() -> None:
    is_stuck, release = threading.Event(), threading.Event()

    def wait(result: Result) -> None:
        is_stuck.set()
        release.wait(30)

    with StreamClient(gray, (), lambda request: {}, on_result=wait) as client:
        client.start()
        assert is_stuck.wait(20)
        client.stop()
        assert client.wait().ledger.pending == 0
    release.set()
