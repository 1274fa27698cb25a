"""Video files: every frame, with its own presentation time."""

import logging
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error

from stream_client.errors import SourceCodecError, SourceError, SourceNotFoundError
from stream_client.frames import Frame, StreamInfo
from stream_client.util.media import ImageOptions, RgbImages

logger = logging.getLogger(__name__)

_MAX_PLAUSIBLE_RATE = 1000
# Audio may go on for longer than the video.
_MISSING_SECONDS, _MISSING_SHARE = 0.5, 0.05


class FileSource:
    """Reads ``path`` to its end, or for ever with ``loop``; ``realtime`` paces it like a live source.

    Timestamps are media time in microseconds from 0, strictly increasing, also across loops. Frames of a
    real-time file are live: their timestamps are wall clock.
    """

    def __init__(
        self, path: str | Path, *, realtime: bool = False, loop: bool = False, images: ImageOptions | None = None
    ) -> None:
        self._path = Path(path)
        self._realtime = realtime
        self._loop = loop
        self._container: av.container.InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._first: av.VideoFrame | None = None
        self._image = RgbImages(images)
        self._aspect: Fraction | None = None
        self._interrupted = threading.Event()
        self._index = 0
        self._last = -1
        self._offset = 0
        self._zero: int | None = None
        self._start = 0
        self._started = 0.0
        self._period = 33_333

    def open(self) -> StreamInfo:
        """Open the file and decode its first frame."""
        if self._path.is_dir():
            raise SourceError(f"{self._path} is a folder: name a video file in it", option="input_stream")
        if not self._path.exists():
            raise SourceNotFoundError(f"{self._path} does not exist", option="input_stream")
        stream = self._open_container()
        self._first = next(self._frames, None)
        if self._first is None:
            raise SourceCodecError(f"{self._path} has no frame that can be decoded", option="input_stream")
        rate = stream.average_rate
        frame_rate = Fraction(rate) if rate and 0 < rate < _MAX_PLAUSIBLE_RATE else None
        if frame_rate:
            self._period = round(1_000_000 / frame_rate)
        shape = self._image.shape(self._first, self._aspect)
        self._started = time.monotonic()
        self._start = time.time_ns() // 1000 if self._realtime else 0
        return StreamInfo(
            name=self._path.name,
            width=shape.width,
            height=shape.height,
            frame_rate=frame_rate,
            live=self._realtime,
            frame_count=None if self._loop else self._frame_count(stream, frame_rate),
            start=self._start,
            path=None if self._loop or self._realtime else str(self._path),
            codec=stream.codec_context.name,
            sample_aspect_ratio=shape.sample_aspect_ratio,
            colour=shape.colour,
        )

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""
        return self._image.skipped

    def read(self) -> Frame | None:
        """The next frame that can be converted. Raises :class:`.SourceCodecError` at the end where none can."""
        image = None
        while image is None:
            decoded = self._next_decoded()
            if decoded is None or self._interrupted.is_set():
                self._check_images()
                return None
            timestamp = self._timestamp(decoded)
            if self._realtime:
                self._interrupted.wait(max(0.0, self._started + timestamp / 1e6 - time.monotonic()))
            image = self._image(decoded, self._aspect)
            self._index += 1
        return Frame(self._index - 1, self._start + timestamp, image, time.monotonic())

    def interrupt(self) -> None:
        """End the pacing of a waiting :meth:`read`."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._first = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _check_images(self) -> None:
        if 0 < self._index == self._image.skipped and not self._interrupted.is_set():
            raise SourceCodecError(
                f"none of the {self._index} frames of {self._path} can be converted: {self._image.last_error}",
                option="input_stream",
            )

    def _open_container(self) -> av.VideoStream:
        try:
            self._container = av.open(f"file:{self._path}")  # FFmpeg would take the a of a:b.mp4 for a protocol
        except av.error.FFmpegError as error:
            raise SourceCodecError(
                f"{self._path} is not a video that can be read: {error.strerror}", option="input_stream"
            ) from error
        except OSError as error:
            raise SourceError(f"cannot open {self._path}: {error.strerror}", option="input_stream") from error
        if not self._container.streams.video:
            raise SourceCodecError(f"{self._path} has no video stream", option="input_stream")
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self._aspect = stream.sample_aspect_ratio
        self._frames = self._decode(self._container)
        return stream

    def _decode(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """Yield every frame that can be decoded, also after damage. Raises where no frame can."""
        damaged = 0
        try:
            for packet in container.demux(video=0):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as error:
                    damaged += 1
                    last = error.strerror
                else:
                    yield from frames
        except av.error.FFmpegError as error:
            # The recording is cut off. Everything in it has been read.
            logger.warning("%s is damaged after frame %d: %s", self._path, self._index, error.strerror)
        if damaged and self._index == 0:
            raise SourceCodecError(f"{self._path} cannot be decoded: {last}", option="input_stream")
        if damaged:
            logger.warning("%s: %d packets cannot be decoded (%s): frames are missing", self._path, damaged, last)
        self._check_end(container)

    def _check_end(self, container: av.container.InputContainer) -> None:
        """Some damage looks like the end of the file. The header knows the true length."""
        declared = container.streams.video[0].duration
        time_base = container.streams.video[0].time_base
        seconds = float(declared * time_base) if declared and time_base else (container.duration or 0) / 1_000_000
        read = (self._last + self._period - self._offset) / 1_000_000
        if seconds - read > max(_MISSING_SECONDS, _MISSING_SHARE * seconds):
            logger.warning("%s ended after %.1f s of the %.1f s that its header says", self._path, read, seconds)

    def _next_decoded(self) -> av.VideoFrame | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        decoded = next(self._frames, None)
        if decoded is None and self._loop and self._index:
            self.close()
            self._open_container()
            self._offset = self._last + self._period
            self._zero = None
            decoded = next(self._frames, None)
        return decoded

    def _timestamp(self, frame: av.VideoFrame) -> int:
        if frame.pts is None or frame.time_base is None:
            media = self._last + self._period if self._last >= 0 else 0
        else:
            absolute = round(frame.pts * frame.time_base * 1_000_000)
            if self._zero is None:
                self._zero = absolute
            media = self._offset + absolute - self._zero
        self._last = max(media, self._last + 1)
        return self._last

    def _frame_count(self, stream: av.VideoStream, rate: Fraction | None) -> int | None:
        if stream.frames:
            return stream.frames
        assert self._container is not None
        if self._container.duration is None or rate is None:
            return None
        return round(self._container.duration / 1_000_000 * rate)
