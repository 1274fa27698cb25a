"""From a websocket's frames to a source's: a small buffer that drops the oldest."""

import threading
from collections import deque

import numpy as np

from stream_client.compat.live_processing import FrameBuffer
from stream_client.frames import Image

CAPACITY = 3
"""Frames. They wait for the pipeline no longer than it takes for as many."""


class BufferedFrames:
    """One side adds frames, the other takes them in their order; what does not fit is dropped, the oldest first."""

    def __init__(self) -> None:
        self._buffer = FrameBuffer(CAPACITY)
        self._changed = threading.Condition()
        self._next = 0
        self._taken: deque[int] = deque()
        self._passed = 0
        self._closed = False

    def add(self, image: Image) -> int:
        """Append RGB uint8 [height, width, 3]; returns its number, from 0."""
        with self._changed:
            self._buffer.add_frame(image)
            self._changed.notify()
            return self._buffer.latest_idx

    def take(self) -> Image | None:
        """Wait for the next frame; ``None`` once closed."""
        with self._changed:
            while not self._closed:
                self._next = max(self._next, self._buffer.oldest_idx)
                image = self._buffer.get_frame(self._next)
                if image is not None:
                    self._taken.append(self._next)
                    self._next += 1
                    return np.ascontiguousarray(image)
                self._changed.wait()
            return None

    def number(self, index: int) -> int:
        """The number of the frame that was taken as the ``index``-th, from 0. Asked in rising order."""
        with self._changed:
            while self._passed < index:
                self._taken.popleft()
                self._passed += 1
            return self._taken[0]

    def close(self) -> None:
        """Give no more frames."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
