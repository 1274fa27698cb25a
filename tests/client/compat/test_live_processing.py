"""The buffer of frames of the seed programs' live processing."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.compat.live_processing import FrameBuffer
from stream_client.errors import ConfigurationError
from tests.support.video import picture


def test_an_empty_buffer_has_no_frame() -> None:
    buffer = FrameBuffer(3)
    assert (buffer.latest_idx, buffer.oldest_idx, buffer.get_frame(0), buffer.get_frame(-1)) == (-1, -1, None, None)


@given(size=st.integers(1, 5), frames=st.integers(1, 20))
def test_the_newest_frames_are_kept(size: int, frames: int) -> None:
    buffer = FrameBuffer(size)
    images = [np.full((1, 1, 3), index, np.uint8) for index in range(frames)]
    for image in images:
        buffer.add_frame(image)
    assert buffer.latest_idx == frames - 1
    assert buffer.oldest_idx == max(0, frames - size)
    for index, image in enumerate(images):
        assert buffer.get_frame(index) is (image if index >= buffer.oldest_idx else None)
    buffer.clear()
    buffer.add_frame(images[0])
    assert (buffer.latest_idx, buffer.oldest_idx) == (0, 0)


def test_several_threads_may_add_and_get() -> None:
    buffer = FrameBuffer(10)
    start = threading.Barrier(4)

    def add() -> None:
        start.wait()
        for index in range(500):
            buffer.add_frame(picture(index % 8))
            buffer.get_frame(buffer.oldest_idx)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert buffer.latest_idx == 1999
    assert buffer.oldest_idx == 1990


def test_a_buffer_for_no_frame_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_size"):
        FrameBuffer(0)
