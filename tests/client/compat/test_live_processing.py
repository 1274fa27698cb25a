"""The buffer of frames of the seed programs' live processing."""

import asyncio
import io
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stream_client.compat.live_processing import FrameBuffer, HolisticProcessor, producer_handler
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


@pytest.mark.parametrize("size", [0, "3", 2.5, None])
def test_a_buffer_for_no_frame_is_refused(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_size"):
        FrameBuffer(size)


@pytest.mark.parametrize("frame", [None, np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(frame: Any) -> None:
    with HolisticProcessor() as processor, pytest.raises(ConfigurationError, match="an image is BGR uint8"):
        processor.process(frame)


class _Messages:
    """A websocket of messages, as Starlette's: a text has no ``bytes``, or ``None`` there."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = iter(messages)

    async def receive_bytes(self) -> bytes:
        message = next(self._messages, None)
        if message is None:
            raise RuntimeError("closed")
        data: bytes = message["bytes"]
        return data


def test_messages_that_are_no_pictures_are_skipped() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "PNG")
    websocket = _Messages({"text": "hello"}, {"text": "hello", "bytes": None}, {"bytes": file.getvalue()})
    buffer = FrameBuffer(5)
    asyncio.run(producer_handler(websocket, buffer))
    assert buffer.latest_idx == 0
