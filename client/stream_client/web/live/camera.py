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

    A frame's index is its number in the browser, and its times are the browser's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames: deque[tuple[int, float, Image, float]] = deque(maxlen=WAITING)
        self._changed = threading.Condition()
        self._closed = False
        self._last = 0
        self.dropped = 0
        """Frames that were not read in time."""

    def put(self, number: int, captured: float, image: Image) -> None:
        """Append a frame; ``captured`` is in milliseconds since 1970."""
        with self._changed:
            self.dropped += len(self._frames) == WAITING
            self._frames.append((number, captured, image, time.monotonic()))
            self._changed.notify_all()

    def open(self) -> StreamInfo:
        """Wait for the first frame."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed)
            if not self._frames:
                raise SourceError(f"{self._name}: closed before its first frame")
            _, captured, image, _ = self._frames[0]
            height, width = image.shape[:2]
            return StreamInfo(self._name, width, height, live=True, start=int(1000 * captured))

    def read(self) -> Frame | None:
        """Wait for the next frame; ``None`` once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed)
            if self._closed:
                return None
            number, captured, image, arrived = self._frames.popleft()
        # Frames of one millisecond have times of their own, and a clock that steps back does not hold the stream up.
        self._last = max(int(1000 * captured), self._last + 1)
        return Frame(number, self._last, image, arrived)

    def interrupt(self) -> None:
        """End a waiting call."""
        self.close()

    def close(self) -> None:
        """Give no more frames."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
