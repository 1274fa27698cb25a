"""The browser's camera as a source of the pipeline."""

import threading
import time
from collections import deque

from stream_client.errors import SourceError
from stream_client.frames import Frame, Image, StreamInfo

WAITING = 2
"""Frames. They wait for the pipeline no longer than it takes for as many."""


class BrowserCamera:
    """The event loop puts frames, the pipeline's thread reads them; what is not read in time is dropped, the oldest
    first.

    A frame's index is its number in the browser from the first one on, so that the run counts those that are missing.
    Its times are the browser's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames: deque[tuple[int, float, Image, float]] = deque(maxlen=WAITING)
        self._changed = threading.Condition()
        self._closed = False
        self._last = 0
        self.first = 0
        """The number of the first frame that was read."""

    def put(self, number: int, captured: float, image: Image) -> None:
        """Append a frame; ``captured`` is in milliseconds since 1970."""
        with self._changed:
            if self._closed:
                return
            self._frames.append((number, captured, image, time.monotonic()))
            self._changed.notify_all()

    def open(self) -> StreamInfo:
        """Wait for the first frame."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed)
            if not self._frames:
                raise SourceError(f"{self._name}: closed before its first frame")
            self.first, captured, image, _ = self._frames[0]
            height, width = image.shape[:2]
            return StreamInfo(self._name, width, height, live=True, start=int(1000 * captured))

    def read(self) -> Frame | None:
        """Wait for the next frame; ``None`` once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed)
            if not self._frames:
                return None
            number, captured, image, arrived = self._frames.popleft()
        # Frames of one millisecond have times of their own, and a clock that steps back does not hold the stream up.
        self._last = max(int(1000 * captured), self._last + 1)
        return Frame(number - self.first, self._last, image, arrived)

    def interrupt(self) -> None:
        """End a waiting call."""
        self.close()

    def close(self) -> None:
        """Give no more frames."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
