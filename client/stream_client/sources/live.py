"""Live video through PyAV: one decoding loop for cameras and network streams.

The loop always drains the decoder in a thread of its own, so that nothing queues up inside FFmpeg and the
newest frame is at hand; the client's drop policy decides what becomes of it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.error

from stream_client.errors import SourceCodecError, SourceError, SourceTimeoutError
from stream_client.frames import Frame, StreamInfo
from stream_client.redact import redact
from stream_client.sources.pictures import rgb_image

_MAX_PLAUSIBLE_RATE = 1000


@dataclass(frozen=True, slots=True)
class LiveInput:
    """What PyAV opens: ``url``, an input ``format`` (``"v4l2"``), FFmpeg's ``options``, time-outs in seconds."""

    name: str
    url: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    open_timeout: float = 10.0
    read_timeout: float = 10.0


class LiveSource:
    """Reads ``live`` until it ends. ``classify`` makes our exception of FFmpeg's.

    Timestamps are wall clock in microseconds, anchored at the first frame, then following the stream's own
    clock; strictly increasing.
    """

    BUFFERED = 2
    """Decoded frames kept for the reader; older ones are overwritten."""

    def __init__(
        self, live: LiveInput, classify: Callable[[LiveInput, OSError | av.error.FFmpegError], SourceError]
    ) -> None:
        self._live = live
        self._classify = classify
        self._container: av.container.InputContainer | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._decoded: deque[tuple[av.VideoFrame, float]] = deque(maxlen=self.BUFFERED)
        self._ended = False
        self._interrupted = False
        self._error: SourceError | None = None
        self._index = 0
        self._last = 0
        self._anchor: tuple[int, Fraction] | None = None
        self.overwritten = 0
        """Frames that nobody read in time; zero while the client takes them all."""

    def open(self) -> StreamInfo:
        """Connect and wait for the first frame."""
        self._thread = threading.Thread(target=self._run, name=f"decode {self._live.name}", daemon=True)
        self._thread.start()
        with self._changed:
            timeout = self._live.open_timeout + self._live.read_timeout
            self._changed.wait_for(lambda: self._decoded or self._ended or self._interrupted, timeout)
            if self._error is not None:
                raise self._error
            if self._interrupted:
                raise SourceError(f"{self._live.name}: stopped before the first frame")
            if not self._decoded:
                raise SourceTimeoutError(f"{self._live.name}: no frame within {timeout:g} s (--input_stream)")
            first, _ = self._decoded[0]
        height, width = rgb_image(first).shape[:2]
        return StreamInfo(self._live.name, width, height, self._frame_rate, live=True, start=time.time_ns() // 1000)

    def read(self) -> Frame | None:
        """The oldest frame that is kept; waits for one."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._decoded or self._ended or self._interrupted, self._live.read_timeout
            )
            if self._interrupted:
                return None
            if not self._decoded:
                if self._error is not None:
                    raise self._error
                if arrived:
                    return None
                raise SourceTimeoutError(f"{self._live.name}: no frame for {self._live.read_timeout:g} s")
            decoded, captured = self._decoded.popleft()
        frame = Frame(self._index, self._timestamp(decoded), rgb_image(decoded), captured)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """End a waiting :meth:`open` or :meth:`read`."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the decoding thread; FFmpeg's own time-out bounds how long that takes."""
        self.interrupt()
        if self._thread is not None:
            self._thread.join(self._live.read_timeout)
            self._thread = None

    def _run(self) -> None:
        try:
            self._decode()
        except (OSError, av.error.FFmpegError) as error:  # most of FFmpeg's own errors are no OSError
            self._error = self._classify(self._live, error)
        except SourceError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - raised by read(), in the owner's thread
            self._error = SourceError(redact(f"{self._live.name}: {type(error).__name__}: {error}"))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _decode(self) -> None:
        container = av.open(
            self._live.url,
            format=self._live.format,
            options=self._live.options,
            timeout=(self._live.open_timeout, self._live.read_timeout),
        )
        with container:
            if not container.streams.video:
                raise SourceCodecError(f"{self._live.name} has no video (--input_stream)")
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # frame threads would hold back a frame a thread
            rate = stream.average_rate
            self._frame_rate = Fraction(rate) if rate and 0 < rate < _MAX_PLAUSIBLE_RATE else None
            for frame in container.decode(stream):
                with self._changed:
                    if self._interrupted:
                        return
                    self.overwritten += len(self._decoded) == self.BUFFERED
                    self._decoded.append((frame, time.monotonic()))
                    self._changed.notify_all()

    _frame_rate: Fraction | None = None

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
                # The stream's clock jumped: anchor anew.
                self._anchor = (now, media)
                timestamp = now
        self._last = max(timestamp, self._last + 1)
        return self._last
