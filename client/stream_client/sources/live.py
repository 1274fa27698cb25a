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
    url: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    open_timeout: float = 10.0
    read_timeout: float = 10.0


Classify = Callable[[LiveInput, OSError | av.error.FFmpegError], SourceError]
"""Makes our exception of FFmpeg's."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture of the decoder, its number and when it was there (:func:`time.monotonic`)."""

    number: int
    picture: av.VideoFrame
    captured: float


class LiveSource:
    """One connection to ``live``: reads until it ends. ``classify`` makes our exception of FFmpeg's.

    Timestamps are wall clock in microseconds, anchored at the first frame, then following the stream's own
    clock; strictly increasing. A gap in the frames' indices means frames that nobody read in time.
    """

    BUFFERED = 2
    """Decoded frames kept for the reader; older ones are overwritten."""
    CLOSE_SECONDS = 0.5
    """How long :meth:`close` waits for FFmpeg."""

    def __init__(self, live: LiveInput, classify: Classify) -> None:
        self._live = live
        self._classify = classify
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._decoded: deque[_Decoded] = deque(maxlen=self.BUFFERED)
        self._ended = False
        self._interrupted = False
        self._error: SourceError | None = None
        self._last = 0
        self._anchor: tuple[int, Fraction] | None = None
        self._frame_rate: Fraction | None = None
        self._codec = ""
        self.finite = False
        """Whether the stream has declared a length: its end is then an end, and no loss."""

    def open(self) -> StreamInfo:
        """Connect and wait for the first frame."""
        self._thread = threading.Thread(target=self._run, name=f"decode {self._live.name}", daemon=True)
        self._thread.start()
        # FFmpeg may take its time-out twice: to connect, and to find the stream's properties.
        timeout = 2 * self._live.open_timeout + self._live.read_timeout
        with self._changed:
            self._changed.wait_for(lambda: self._decoded or self._ended or self._interrupted, timeout)
            if self._interrupted:
                raise SourceError(f"{self._live.name}: stopped before the first frame")
            if not self._decoded:
                if self._error is None and self._ended:
                    self._error = SourceError(f"{self._live.name} ended before the first frame (--input_stream)")
                raise self._error or SourceTimeoutError(
                    f"{self._live.name}: no frame within {timeout:g} s (--input_stream)"
                )
            first = self._decoded[0].picture
        height, width = rgb_image(first).shape[:2]
        start = time.time_ns() // 1000
        return StreamInfo(self._live.name, width, height, self._frame_rate, live=True, start=start, codec=self._codec)

    def read(self) -> Frame | None:
        """The oldest frame that is kept; waits for one."""
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
            decoded = self._decoded.popleft()
        image = rgb_image(decoded.picture)
        return Frame(decoded.number, self._timestamp(decoded.picture), image, decoded.captured)

    def interrupt(self) -> None:
        """End a waiting :meth:`open` or :meth:`read`."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the decoding thread.

        FFmpeg cannot be woken from its wait for a silent peer. Such a thread is left to FFmpeg's own time-outs,
        which end it: it touches nothing any more, and holds one connection until then.
        """
        self.interrupt()
        if self._thread is not None:
            self._thread.join(self.CLOSE_SECONDS)
            self._thread = None
        with self._changed:
            # An error knows the frames it passed, and with them this object: not left to the garbage collector.
            self._error = None
            self._decoded.clear()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            container = av.open(
                self._live.url,
                format=self._live.format,
                options=self._live.options,
                timeout=(self._live.open_timeout, self._live.read_timeout),
            )
        except (OSError, av.error.FFmpegError) as error:  # most of FFmpeg's own errors are no OSError
            # An interrupted handshake ends with any error, "invalid data" for instance.
            if time.monotonic() - started >= self._live.open_timeout:
                self._end(SourceTimeoutError(f"{self._live.name} did not answer within {self._live.open_timeout:g} s"))
            else:
                self._end(self._classify(self._live, error))
            return
        except Exception as error:  # noqa: BLE001 - raised by open(), in the owner's thread
            self._end(SourceError(redact(f"{self._live.name}: {type(error).__name__}: {error}")))
            return
        try:
            with container:
                self._decode(container)
            self._end(None)
        except SourceError as error:
            self._end(error)
        except av.error.InvalidDataError:
            self._end(SourceError(f"{self._live.name} broke off"))
        except (OSError, av.error.FFmpegError) as error:
            self._end(self._classify(self._live, error))
        except Exception as error:  # noqa: BLE001 - raised by read(), in the owner's thread
            self._end(SourceError(redact(f"{self._live.name}: {type(error).__name__}: {error}")))

    def _end(self, error: SourceError | None) -> None:
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def _decode(self, container: av.container.InputContainer) -> None:
        stream = self._video(container)
        number = 0
        for packet in container.demux(stream):
            try:
                pictures = stream.decode(packet)
            except av.error.InvalidDataError:
                continue  # lost on the way, or before the first key frame; the stream goes on
            for picture in pictures:
                with self._changed:
                    self._decoded.append(_Decoded(number, picture, time.monotonic()))
                    self._changed.notify_all()
                number += 1
            if self._interrupted:
                return

    def _video(self, container: av.container.InputContainer) -> av.VideoStream:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise SourceCodecError(f"{self._live.name} has no video track, only {kinds} (--input_stream)")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise SourceCodecError(f"{self._live.name} has video in a codec that FFmpeg cannot decode (--input_stream)")
        stream.thread_type = "SLICE"  # frame threads would hold back a frame a thread
        rate = stream.average_rate
        self._codec = stream.codec_context.name
        self._frame_rate = Fraction(rate) if rate and 0 < rate < _MAX_PLAUSIBLE_RATE else None
        self.finite = container.duration is not None
        return stream

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
