"""Frames that a program makes: an iterable of images, or a function that is called for each."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from kserve_wire.pictures.jpeg import decode_image
from stream_client.errors import SourceError
from stream_client.frames import Frame, Image, StreamInfo
from stream_client.util.clock import SteadyClock

SourceImage = Image | bytes
"""What a program gives for a frame: RGB uint8 [height, width, 3], or the bytes of a JPEG or PNG."""


class ArraySource:
    """Takes frames from ``arrays`` to its end, or to a ``None`` in it.

    A frame is RGB uint8 [height, width, 3], or the bytes of a JPEG or PNG.

    The run takes the next array when it wants one, so nothing is lost under the default drop policy ``block``.
    Timestamps follow ``frame_rate``, in frames a second, from 0; without it they are the wall clock when the array
    came. An array must not change once it was given.

    >>> frames = (np.full((48, 64, 3), level, np.uint8) for level in range(3))
    >>> source = ArraySource(frames, frame_rate=25)
    >>> source.open().width, source.read().timestamp, source.read().timestamp
    (64, 0, 40000)
    """

    def __init__(
        self, arrays: Iterable[SourceImage | None], *, frame_rate: Fraction | float | None = None, name: str = "arrays"
    ) -> None:
        self._arrays = arrays
        self._frame_rate = Fraction(frame_rate).limit_denominator(1001) if frame_rate else None
        self._name = name
        self._clock = SteadyClock()
        self._iterator: Iterator[SourceImage | None] = iter(())
        self._first: Image | None = None
        self._interrupted = threading.Event()
        self._index = 0
        self._last = 0

    def open(self) -> StreamInfo:
        """Take the first array, for its size."""
        self._iterator = iter(self._arrays)
        self._first = self._take()
        if self._first is None:
            raise SourceError(f"the source {self._name!r} gave no frame")
        height, width = self._first.shape[:2]
        start = 0 if self._frame_rate else self._clock.now()
        return StreamInfo(self._name, width, height, self._frame_rate, start=start)

    def read(self) -> Frame | None:
        """The next frame."""
        image = self._first if self._first is not None else self._take()
        self._first = None
        if image is None or self._interrupted.is_set():
            return None
        if self._frame_rate:
            timestamp = round(self._index * 1_000_000 / self._frame_rate)
        else:
            timestamp = max(self._clock.now(), self._last + 1)
        self._last = timestamp
        frame = Frame(self._index, timestamp, image, time.monotonic())
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Take no further array; an iterator that waits has to return by itself."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the iterator if it is a generator."""
        if isinstance(self._iterator, Generator):
            self._iterator.close()

    def _take(self) -> Image | None:
        image = next(self._iterator, None)
        if image is None:
            return None
        if isinstance(image, bytes | bytearray | memoryview):
            try:
                return decode_image(image)
            except ValueError as error:
                raise SourceError(f"the source {self._name!r} gave {error}") from error
        array = np.asarray(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            raise SourceError(
                f"the source {self._name!r} gave {array.dtype} {list(array.shape)}: "
                "RGB uint8 [height, width, 3], or the bytes of a JPEG or PNG, is expected"
            )
        return array


class CallableSource:
    """Calls ``function`` for each frame, as :class:`ArraySource` takes them, until it returns ``None``.

    The source is live, like a camera: timestamps are the wall clock, and the default drop policy ``latest`` drops
    frames that the server is too slow for. An array must not change once it was returned.
    """

    def __init__(self, function: Callable[[], SourceImage | None], *, name: str = "function") -> None:
        self._arrays = ArraySource(_called(function), name=name)

    def open(self) -> StreamInfo:
        """Call the function once, for the size."""
        return replace(self._arrays.open(), live=True)

    def read(self) -> Frame | None:
        """The next frame."""
        return self._arrays.read()

    def interrupt(self) -> None:
        """Stop calling the function. A call that waits has to return by itself."""
        self._arrays.interrupt()

    def close(self) -> None:
        """End the calls."""
        self._arrays.close()


def _called(function: Callable[[], SourceImage | None]) -> Iterator[SourceImage | None]:
    while True:
        yield function()
