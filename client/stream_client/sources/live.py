"""Live video through PyAV: one decoding loop for cameras and network streams.

A thread always drains the decoder, so frames never queue up inside FFmpeg and the newest one is ready. The client's
drop policy decides which frames are used.
"""

import math
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import av

from stream_client.errors import SourceError, SourceTimeoutError
from stream_client.frames import Frame, StreamInfo
from stream_client.sources.feed import Feed
from stream_client.util.media import ImageOptions, RgbImages
from stream_client.util.redact import redact


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A decoded frame, its number, and its time of arrival (:func:`time.monotonic`)."""

    number: int
    frame: av.VideoFrame
    captured: float


class LiveSource:
    """Reads one connection, ``feed``, until it ends.

    Timestamps are wall clock in microseconds, taken at the first frame, then following the stream's own clock. They
    always increase. A gap in the indices means frames that were not read in time.
    """

    BUFFERED = 2
    """How many decoded frames are kept for the reader. Older ones are overwritten."""
    CLOSE_SECONDS = 0.5
    """How long :meth:`close` waits for the feed."""

    def __init__(self, feed: Feed, images: ImageOptions | None = None) -> None:
        self._live = feed.live
        self._feed = feed
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._decoded: deque[_Decoded] = deque(maxlen=self.BUFFERED)
        self._image = RgbImages(images)
        self._ended = False
        self._interrupted = False
        self._error: SourceError | None = None
        self._last = 0
        self._anchor: tuple[int, Fraction] | None = None

    @property
    def finite(self) -> bool:
        """Whether the stream declares a length. Its end is then not a loss."""
        return self._feed.properties.finite

    def open(self, within: float = math.inf) -> StreamInfo:
        """Connect and wait for the first frame, ``within`` seconds at most."""
        self._thread = threading.Thread(target=self._run, name=f"decode {self._live.name}", daemon=True)
        self._thread.start()
        # FFmpeg may use its timeout twice: to connect, and to find the stream's properties.
        timeout = min(2 * self._live.open_timeout + self._live.read_timeout, within)
        with self._changed:
            self._changed.wait_for(lambda: self._decoded or self._ended or self._interrupted, timeout)
            if self._interrupted:
                raise SourceError(f"{self._live.name}: stopped before the first frame")
            if not self._decoded:
                if self._error is None and self._ended:
                    self._error = SourceError(f"{self._live.name} ended before the first frame", option="input_stream")
                self._feed.abort()
                raise self._error or SourceTimeoutError(
                    f"{self._live.name}: no frame within {timeout:.3g} s", option="input_stream"
                )
            first = self._decoded[0].frame
        start = time.time_ns() // 1000
        found = self._feed.properties
        shape = self._image.shape(first, found.sample_aspect_ratio)
        return StreamInfo(
            self._live.name,
            shape.width,
            shape.height,
            found.frame_rate,
            live=True,
            start=start,
            codec=found.codec,
            sample_aspect_ratio=shape.sample_aspect_ratio,
            colour=shape.colour,
        )

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""
        return self._image.skipped

    def read(self) -> Frame | None:
        """Wait for a frame that can be converted. Returns the oldest one kept."""
        while (decoded := self._next_decoded()) is not None:
            image = self._image(decoded.frame, self._feed.properties.sample_aspect_ratio)
            if image is not None:
                return Frame(decoded.number, self._timestamp(decoded.frame), image, decoded.captured)
        return None

    def _next_decoded(self) -> _Decoded | None:
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._decoded or self._ended or self._interrupted, self._live.read_timeout + 1.0
            )
            if self._interrupted:
                return None
            if not self._decoded:
                if self._error is not None:
                    raise self._error
                if arrived:
                    return None
                raise SourceTimeoutError(f"{self._live.name}: no frame for {self._live.read_timeout:g} s")
            return self._decoded.popleft()

    def interrupt(self) -> None:
        """End a waiting :meth:`open` or :meth:`read`."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the decoding thread. It closes the connection politely unless the server is silent.

        FFmpeg cannot be woken while it waits for a silent server. Its own timeouts end such a thread later. Until then
        the thread holds one connection and touches nothing else.
        """
        self.interrupt()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(self.CLOSE_SECONDS)
            if thread.is_alive():
                self._feed.abort()
                thread.join(self.CLOSE_SECONDS)
        with self._changed:
            # An error refers to its stack frames and so to this object: break the cycle here.
            self._error = None
            self._decoded.clear()

    def _run(self) -> None:
        try:
            self._take_frames()
            self._end(None)
        except SourceError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - raised by read(), in the owner's thread
            self._end(SourceError(redact(f"{self._live.name}: {type(error).__name__}: {error}")))

    def _end(self, error: SourceError | None) -> None:
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def _take_frames(self) -> None:
        with closing(self._feed.frames()) as frames:
            for number, frame in enumerate(frames):
                with self._changed:
                    self._decoded.append(_Decoded(number, frame, time.monotonic()))
                    self._changed.notify_all()
                if self._interrupted:
                    return

    def _timestamp(self, frame: av.VideoFrame) -> int:
        now = time.time_ns() // 1000
        if frame.pts is None or frame.time_base is None:
            timestamp = now
        else:
            media = frame.pts * frame.time_base
            if self._anchor is None:
                self._anchor = (now, media)
            wall, zero = self._anchor
            timestamp = wall + round((media - zero) * 1_000_000)
            if abs(timestamp - now) > 5_000_000:
                # The stream's clock jumped: start from the wall clock again.
                self._anchor = (now, media)
                timestamp = now
        self._last = max(timestamp, self._last + 1)
        return self._last
