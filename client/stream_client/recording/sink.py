"""The sink that records for weeks: one file after another, cut at the clock, of which the oldest go."""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Result, StreamInfo
from stream_client.publishing.leading import Lead
from stream_client.publishing.options import SinkOptions
from stream_client.recording.index import RecordingIndex, Segment
from stream_client.recording.label_log import LabelLog
from stream_client.recording.names import SegmentNames, Slot
from stream_client.recording.options import RecordingOptions
from stream_client.recording.quota import Quota
from stream_client.recording.segment_file import complete, free_path, hidden, take_up
from stream_client.sinks.audio import RULES
from stream_client.sinks.output_file import sink_errors
from stream_client.sinks.video_file import FileSink
from stream_client.sound.packets import SoundFeed
from stream_client.util.stream_names import stream_name

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """The segment that is written."""

    slot: Slot
    segment: Segment
    path: Path
    file: FileSink
    end: float


class RecordingSink:
    """Writes files by ``pattern``, cut at the clock. Each begins with a key frame, at its own time 0.

    ``{stream}`` in the pattern is ``stream``, by default made from the source's name. A live source's clock is this
    machine's, ``wall``, in seconds since 1970; a file's begins with the run. A file has its name once it is whole.
    ``lead`` as of ``FileSink``. Raises :class:`.ConfigurationError` for a pattern and options that cannot work.
    """

    def __init__(
        self,
        pattern: str | Path,
        options: RecordingOptions,
        *,
        video: SinkOptions | None = None,
        stream: str | None = None,
        wall: Callable[[], float] = time.time,
        lead: Lead | None = None,
    ) -> None:
        if options.segment_seconds is None:
            raise ConfigurationError("a recording needs the length of its segments", option="segment", value="10m")
        self._names = SegmentNames(str(pattern), options.segment_seconds)
        self._video = video or SinkOptions()
        FileSink(pattern)  # refuses an extension that cannot be written
        self.name = f"recording {pattern}"
        self._quota = Quota(options.keep_seconds, options.keep_bytes)
        self._stream = stream
        self._wall = wall
        self._lead = lead
        self._zero = 0.0
        self._info: StreamInfo | None = None
        self._sound: SoundFeed | None = None
        self._lock: int | None = None
        self._index: RecordingIndex | None = None
        self._open: _Open | None = None
        self._labels: LabelLog | None = None
        self._kept = 0
        self._said = False

    @property
    def folder(self) -> Path:
        """Where the index is, once it is open."""
        return self._names.root

    @property
    def stream(self) -> str:
        """The stream's name in the index, once it is open."""
        assert self._stream is not None
        return self._stream

    def clock(self, seconds: float) -> float:
        """Seconds since 1970 at that time of the source, once it is open. Safe from any thread."""
        return self._zero + seconds

    @property
    def kept(self) -> int:
        """Frames in all files, those that went by the quota included."""
        return self._kept

    def open(self, info: StreamInfo) -> None:
        """Open the index, and take up what a killed process has left."""
        self._info = info
        self._zero = info.start / 1e6 if info.live else self._wall()
        self._stream = self._stream or stream_name(info.name)
        self._names.for_stream(self._stream)
        root = self._names.root
        with sink_errors(f"cannot write {root}", "sinks"):
            root.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(root / f".{stream_name(self._stream)}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError(
                f"{root}: the stream {self._stream!r} is being recorded by another run: give this one another name",
                option="stream_name",
            ) from error
        self._index = RecordingIndex(root)
        self._labels = LabelLog(self._index, self._stream)
        self._remove_surplus()  # first of all: the disk may be full
        self._take_up()
        if info.sound is not None:
            self._sound = SoundFeed(info.sound, RULES[self._names.path(0.0).suffix.lower()])

    def write(self, result: Result) -> bool:
        """Write a frame, into a new file where the clock says so."""
        assert self._info is not None
        assert self._labels is not None
        if self._info.live:  # the wall clock of now, whatever it was at the start
            self._zero = self._wall() - (time.monotonic() - result.frame.captured) - result.time
        clock = self.clock(result.time)
        slot = self._names.slot(clock)
        if self._open is not None and slot != self._open.slot:
            self._finish()
        if self._open is None:
            self._open = self._begin(slot, clock, result.time)
        self._open.file.write(result)
        self._open.end = clock + 1.0 / float(self._info.frame_rate or 30)
        self._labels.update(clock, result)
        return True

    def close(self) -> None:
        """Finish the file."""
        try:
            if self._open is not None:
                self._finish()
        finally:
            if self._index is not None:
                self._index.close()
                self._index = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _begin(self, slot: Slot, clock: float, zero: float) -> _Open:
        assert self._index is not None
        assert self._info is not None
        assert self._stream is not None
        path = self._names.path(clock)
        with sink_errors(f"cannot make {path.parent}", "sinks"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path = free_path(path)
        segment = self._index.begin(self._stream, path, clock)
        file = FileSink(
            hidden(path),
            quality=self._video.quality,
            fragmented=self._video.fragmented,
            zero=zero,
            sound=self._sound,
            lead=self._lead,
        )
        try:
            file.open(self._info)
        except SinkError:
            file.close()
            self._index.remove(segment)
            raise
        return _Open(slot, segment, path, file, clock)

    def _finish(self) -> None:
        """Close the file and give it its name. What was written before an error is kept, too."""
        assert self._index is not None
        assert self._open is not None
        assert self._labels is not None
        self._labels.save()
        done, self._open = self._open, None
        try:
            done.file.close()
        finally:
            frames = done.file.kept
            self._kept += frames
            if frames and hidden(done.path).exists():
                self._index.finish(done.segment, done.end, frames, complete(done.path))
            else:
                self._index.remove(done.segment)
        self._remove_surplus()

    def _take_up(self) -> None:
        assert self._index is not None
        assert self._stream is not None
        for segment in self._index.incomplete(self._stream):
            path = self._index.folder / segment.path
            taken = take_up(path)
            if taken is None:
                self._index.remove(segment)
                logger.warning("%s was not finished and has no frame: removed", path)
            else:
                self._index.finish(segment, segment.begin + taken.seconds, taken.frames, taken.bytes)
                logger.warning("%s was not finished: its first %.1f s are taken up", path, taken.seconds)

    def _remove_surplus(self) -> None:
        assert self._index is not None
        assert self._stream is not None
        segments = self._index.complete(self._stream)
        limit = self._quota.bytes
        if limit is not None and segments and segments[-1].bytes > limit and not self._said:
            self._said = True
            size = f"{segments[-1].bytes / 1e6:.1f} MB"
            error = SinkError(f"one segment has {size}: only the newest one is kept", option="keep_size")
            logger.warning("%s", error)
        surplus = self._quota.surplus(segments, self._wall())
        for segment in surplus:
            path = self._index.folder / segment.path
            with sink_errors(f"cannot remove {path}", "sinks"):
                path.unlink(missing_ok=True)
            self._index.remove(segment)
            self._remove_empty(path.parent)
        if surplus:
            left = [segment.begin for segment in segments if segment not in surplus]
            self._index.forget_before(self._stream, min(left, default=self._wall()))

    def _remove_empty(self, folder: Path) -> None:
        assert self._index is not None
        in_use = self._names.path(self._wall()).parents
        with suppress(OSError):  # not empty
            while folder != self._index.folder and folder not in in_use:
                folder.rmdir()
                folder = folder.parent
