"""Pictures from a program: a callable, or an iterator of arrays."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from stream_client.errors import SourceError
from stream_client.frames import Frame, Image, StreamInfo

Producer = Callable[[], Image | None] | Iterable[Image]


class CallableSource:
    """Calls ``producer`` for each picture, RGB uint8 [height, width, 3]; ``None`` ends.

    With ``frame_rate`` the timestamps follow it, as in a file, and the run may be slower or faster than
    that; without, the pictures are live and carry the wall clock.
    """

    def __init__(self, producer: Producer, *, frame_rate: Fraction | int | None = None, name: str = "program") -> None:
        self._producer = producer
        self._frame_rate = Fraction(frame_rate) if frame_rate else None
        self._name = name
        self._pictures: Iterator[Image] = iter(())
        self._first: Image | None = None
        self._interrupted = threading.Event()
        self._index = 0
        self._last = 0

    def open(self) -> StreamInfo:
        """Take the first picture, for its size."""
        self._pictures = _called(self._producer) if callable(self._producer) else iter(self._producer)
        self._first = self._take()
        if self._first is None:
            raise SourceError(f"the source {self._name!r} gave no picture")
        height, width = self._first.shape[:2]
        start = 0 if self._frame_rate else time.time_ns() // 1000
        return StreamInfo(self._name, width, height, self._frame_rate, live=self._frame_rate is None, start=start)

    def read(self) -> Frame | None:
        """The next picture."""
        image = self._first if self._first is not None else self._take()
        self._first = None
        if image is None or self._interrupted.is_set():
            return None
        if self._frame_rate:
            timestamp = round(self._index * 1_000_000 / self._frame_rate)
        else:
            timestamp = max(time.time_ns() // 1000, self._last + 1)
        self._last = timestamp
        frame = Frame(self._index, timestamp, image, time.monotonic())
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Take no further picture; a producer that blocks has to return by itself."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the iterator, where it is a generator."""
        close = getattr(self._pictures, "close", None)
        if close is not None:
            close()

    def _take(self) -> Image | None:
        image = next(self._pictures, None)
        if image is None:
            return None
        array = np.asarray(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise SourceError(
                f"the source {self._name!r} gave {array.dtype} {list(array.shape)}: "
                "RGB uint8 [height, width, 3] is expected"
            )
        return array


def _called(producer: Callable[[], Image | None]) -> Iterator[Image]:
    while (image := producer()) is not None:
        yield image
