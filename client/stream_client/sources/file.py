"""Video files and pipes: every frame, with its own presentation time."""

import logging
import stat
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path

import av
import av.error

from stream_client.errors import SourceCodecError, SourceError, SourceNotFoundError
from stream_client.frames import Frame, PlaneFormat, StreamInfo
from stream_client.sound.track import SoundTrack
from stream_client.sources.decoding import Decoding
from stream_client.sources.feed import FeedFrame
from stream_client.sources.hls_files import HLS_OPTIONS, Failure, HlsFiles
from stream_client.sources.local_playlists import LocalPlaylists, is_playlist
from stream_client.sources.passable import can_pass
from stream_client.sources.pixel_bound import DECODER_OPTIONS, bound
from stream_client.sources.pixels import PixelMaker
from stream_client.sources.recording import Recording
from stream_client.sources.span import Span
from stream_client.sources.unreadable import reason
from stream_client.util.clock import SteadyClock
from stream_client.util.container import JOINED, UNLISTED, frame_count_of, frame_rate_of, sound_of, video_of
from stream_client.util.hardware import acceleration, say_what_decodes
from stream_client.util.media import ImageOptions

logger = logging.getLogger(__name__)

STANDARD_INPUT = "-"


class FileSource:
    """Reads ``path`` to its end, or for ever with ``loop``; ``realtime`` paces it like a live source.

    ``path`` may be a pipe, and ``-`` is standard input: it is opened once, and the sound comes from there too.
    Timestamps are media time in microseconds from 0, strictly increasing, also across loops and joints of a recording.
    Frames of a real-time file are live: their timestamps are wall clock. With a ``span`` only that part is read,
    without sound; its frames are counted from 0, and have the times that they have in the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        realtime: bool = False,
        loop: bool = False,
        images: ImageOptions | None = None,
        span: Span | None = None,
    ) -> None:
        self._path = Path(path)
        self._name = "standard input" if str(path) == STANDARD_INPUT else str(self._path)
        self._realtime = realtime
        self._loop = loop
        self._span = span
        self._decoding = Decoding(self._name, self._frames, lambda: None)
        self._decoding.waits = True
        self._images = images or ImageOptions()
        self._pixels = PixelMaker(images)
        self._hardware = acceleration(self._images.decoder)
        self._passing = False
        self._aspect: Fraction | None = None
        self._info = StreamInfo(self._path.name if self._path.name != STANDARD_INPUT else self._name, 0, 0)
        self._sound: SoundTrack | None = None
        self._files: HlsFiles | None = None
        self._index = 0
        self._start = 0
        self._started = 0.0

    @property
    def passes(self) -> bool:
        """Files may have H.264."""
        return True

    def pass_on(self) -> None:
        """Pass H.264 on without decoding it, where that can be."""
        self._passing = True

    def give_planes(self, wanted: PlaneFormat) -> None:
        """Give planes as they were decoded, where that can be."""
        self._pixels.give_planes(wanted)

    def open(self) -> StreamInfo:
        """Open the file and decode its first frame."""
        self._check()
        if self._passing:
            self._passing = self._can_pass()
        self._decoding.start()
        first = self._decoding.peek(None)
        if first is None:
            if self._decoding.interrupted:
                raise SourceError(f"{self._name}: stopped before the first frame")
            hint = "" if self._path.is_file() else "; an mp4 needs its index at the start: -movflags faststart"
            raise SourceCodecError(f"{self._name} has no frame that can be decoded{hint}", option="source")
        shape = self._pixels.rgb.shape(first.frame, self._aspect)
        self._started = time.monotonic()
        self._start = SteadyClock().now() if self._realtime else 0
        return replace(
            self._info,
            width=shape.width,
            height=shape.height,
            start=self._start,
            sample_aspect_ratio=shape.sample_aspect_ratio,
            color=shape.color,
            encoded=self._passing,
        )

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""
        return self._pixels.rgb.skipped

    def read(self) -> Frame | None:
        """The next frame that can be converted. Raises :class:`.SourceCodecError` at the end where none can."""
        if self._index == 0 and self._sound is not None:
            self._sound.begin()
        while (decoded := self._decoding.next(None)) is not None:
            assert decoded.time is not None
            if self._realtime:
                self._decoding.sleep(self._started + decoded.time / 1e6 - time.monotonic())
            pixels = self._pixels(decoded, self._aspect)
            self._index += 1
            if pixels is not None:
                timestamp = self._start + decoded.time
                return Frame(
                    self._index - 1,
                    timestamp,
                    pixels.image,
                    time.monotonic(),
                    damaged=decoded.damaged,
                    encoded=decoded.encoded,
                    planes=pixels.planes,
                )
        self._check_images()
        return None

    def interrupt(self) -> None:
        """End a waiting :meth:`open` or :meth:`read`."""
        self._decoding.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._decoding.close()

    def _check_images(self) -> None:
        images = self._pixels.rgb
        if 0 < self._index == images.skipped and not self._decoding.interrupted:
            raise SourceCodecError(
                f"none of the {self._index} frames of {self._name} can be converted: {images.last_error}",
                option="source",
            )

    def _check(self) -> None:
        kind = stat.S_IFIFO if self._name != str(self._path) else stat.S_IFMT(self._mode())
        if kind == stat.S_IFDIR:
            raise SourceError(f"{self._path} is a folder: name a video file in it", option="source")
        if self._loop and kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK):
            raise SourceError(f"{self._name} can be read once only: loop needs a file", option="loop")

    def _can_pass(self) -> bool:
        """Whether a look at the file says so; a pipe can be read once only."""
        if self._name != str(self._path) or not self._path.is_file():
            return False
        with self._open_container() as container, suppress(av.error.FFmpegError):
            return can_pass(container, self._images)
        return False

    def _mode(self) -> int:
        try:
            return self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise SourceNotFoundError(f"{self._path} does not exist{_instead(self._path)}", option="source") from None
        except OSError as error:
            raise SourceError(f"cannot open {self._path}: {error.strerror}", option="source") from error

    def _frames(self) -> Generator[FeedFrame, None, None]:
        end = 0
        while True:
            with self._open_container() as container:
                recording = self._recording(container, end)
                frames = recording.passed() if self._passing else recording.frames()
                try:
                    yield from frames if self._span is None else self._span.cut(frames)
                except av.error.FFmpegError as error:
                    # The recording is cut off. Everything in it has been read.
                    self._say_damage(error)
                if self._files is not None and self._files.failure is not None:
                    self._say_damage(self._files.failure)
            if not self._loop or recording.end == end:
                return
            end = recording.end

    def _say_damage(self, error: Failure) -> None:
        logger.warning("%s is damaged after frame %d: %s", self._name, self._index, error.strerror)

    def _recording(self, container: av.container.InputContainer, start: int) -> Recording:
        stream = video_of(container)
        if stream is None:
            raise SourceCodecError(f"{self._name} has no video stream", option="source")
        if stream.codec_context is None:
            raise SourceCodecError(f"{self._name} has video in a codec that cannot be decoded", option="source")
        bound(stream.codec_context, self._name)
        if not self._index:
            say_what_decodes(stream.codec_context, self._hardware, self._name)
        stream.thread_type = "AUTO"
        self._aspect = stream.sample_aspect_ratio
        if self._span is not None:
            self._span.seek(container, stream)
        elif not self._loop:
            self._sound = sound_of(container)
        self._info = replace(
            self._info,
            frame_rate=frame_rate_of(stream),
            live=self._realtime,
            frame_count=None if self._loop else frame_count_of(container, stream),
            path=None if self._loop or self._realtime or not self._path.is_file() else str(self._path),
            codec=stream.codec_context.name,
            sound=self._sound,
        )
        zero = None if self._span is None else self._span.zero
        return Recording(container, stream, self._name, start=start, zero=zero, sound=self._sound)

    def _open_container(self) -> av.container.InputContainer:
        # FFmpeg would take the a of a:b.mp4 for a protocol.
        url = "pipe:0" if self._name != str(self._path) else f"file:{self._path}"
        self._files = None
        try:
            if self._name == str(self._path) and is_playlist(self._path):
                self._files = HlsFiles(url, self._name, LocalPlaylists())
                options = DECODER_OPTIONS | JOINED | HLS_OPTIONS
                container = av.open(url, format="hls", options=options, hwaccel=self._hardware, io_open=self._files)
                self._files.opening = False
                if self._files.failure is not None and not container.streams:
                    container.close()
                    raise self._files.failure
                return container
            return av.open(url, options=DECODER_OPTIONS | JOINED | UNLISTED, hwaccel=self._hardware)
        except av.error.FFmpegError as error:
            failure = error if self._files is None else self._files.failure or error
            why = (self._files is None and reason(self._path)) or failure.strerror
            raise SourceCodecError(f"{self._name} is not a video that can be read: {why}", option="source") from error
        except OSError as error:
            raise SourceError(f"cannot open {self._name}: {error.strerror}", option="source") from error


def _instead(path: Path) -> str:
    """What may have been meant, or where a path begins."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.name != path.name]  # as a dangling link has
    except OSError:
        return f": there is no folder {path.parent}"
    close = get_close_matches(path.name, names, 1)
    if close:
        return f": did you mean {path.parent / close[0]}?"
    return "" if path.is_absolute() else f" in {Path.cwd()}: name the whole path, or testsrc for frames without a file"
