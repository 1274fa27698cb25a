"""Clips of events: encoded once for the whole stream, and cut out of what is encoded."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from stream_client.errors import OutputRefusedError
from stream_client.events.ring import Ring
from stream_client.frames import Result, StreamInfo
from stream_client.publishing.encoder import EncoderFactory
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.muxer import Muxer
from stream_client.publishing.sharing import Tap, raw_frame
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.util.media import written_shape

logger = logging.getLogger(__name__)

_RING_BYTES = 64 * 1024 * 1024
_MOST_OPEN = 16
"""Clips that are written at the same time."""
LONGEST = 300.0
"""Seconds after an event's begin. A longer event's clip ends there."""
# A clip that was not finished plays up to its last frames.
_MP4 = {"movflags": "+hybrid_fragmented", "frag_duration": "1000000"}


@dataclass(slots=True)
class _Clip:
    path: Path
    written_to: Path
    begin: int
    muxer: Muxer
    last: int | None = None
    """Ticks of its last frame, once that is known."""


Finished = tuple[str, Path | None]
"""The id of an event, and its clip; ``None`` where that could not be written."""


@dataclass(frozen=True, slots=True)
class ClipSeconds:
    """How much a clip shows before its event's begin, and after its end."""

    before: float
    after: float


@dataclass(slots=True)
class Clips:
    """Encodes the shown frames and writes clips. One thread uses it. ``settings`` name the encoder in the pool."""

    seconds: ClipSeconds
    folder: Path
    pool: EncoderPool
    encoder: EncoderFactory
    settings: tuple[str, int]
    failed: int = 0
    """Clips that could not be written."""
    _ring: Ring = field(init=False)
    _open: dict[str, _Clip] = field(default_factory=dict)
    _tap: Tap | None = None
    _track: VideoTrack | None = None
    _newest: int = 0

    def __post_init__(self) -> None:
        self._ring = Ring(self.seconds.before, _RING_BYTES)

    def add(self, result: Result, info: StreamInfo) -> list[Finished]:
        """Encode a frame; the clips that are complete now, with the ids of their events."""
        complete = []
        track = VideoTrack(written_shape(info, result.image), info.frame_rate)
        if track != self._track:
            complete = self._end_stream()
            self._track, self._tap = track, self.pool.tap(self.encoder, self.settings, track, None)
        assert self._tap is not None
        for frame in self._tap.encode(raw_frame(result)):
            self._newest = frame.time
            self._ring.add(frame)
            complete += self._feed(frame)
        return complete

    def begin(self, event: str) -> Path | None:
        """Begin the clip of an event that begins with the newest frame; its path, ``None`` where it cannot be."""
        frames = self._ring.since(self._newest - round(self.seconds.before * CLOCK_RATE))
        if not frames or len(self._open) >= _MOST_OPEN:
            self._fail(f"more than {_MOST_OPEN} at a time" if frames else "no key frame yet")
            return None
        path = self.folder / f"{event}.mp4"
        written_to = path.with_name(f".{path.name}")
        try:
            clip = _Clip(path, written_to, self._newest, Muxer(f"file:{written_to}", "mp4", frames[0], _MP4))
            for frame in frames:
                clip.muxer.mux(frame)
        except (OutputRefusedError, OSError) as error:
            self._fail(str(error))
            return None
        self._open[event] = clip
        return path

    def end(self, event: str) -> None:
        """The event ends with the newest frame; its clip goes on for a while."""
        if event in self._open:
            self._open[event].last = self._newest + round(self.seconds.after * CLOCK_RATE)

    def close(self) -> list[Finished]:
        """Finish every clip with what it has; as :meth:`add`."""
        return self._end_stream()

    def _feed(self, frame: PublishedFrame) -> list[Finished]:
        complete = []
        for event, clip in list(self._open.items()):
            longest = clip.begin + round(LONGEST * CLOCK_RATE)
            if frame.time > min(longest, longest if clip.last is None else clip.last):
                complete += self._finish(event)
                continue
            try:
                clip.muxer.mux(frame)
            except OutputRefusedError as error:
                self._fail(str(error))
                complete += self._finish(event)
        return complete

    def _finish(self, event: str) -> list[Finished]:
        clip = self._open.pop(event)
        clip.muxer.close()
        try:
            os.replace(clip.written_to, clip.path)
        except OSError as error:
            self._fail(str(error.strerror))
            return [(event, None)]
        return [(event, clip.path)]

    def _end_stream(self) -> list[Finished]:
        complete = [done for event in list(self._open) for done in self._finish(event)]
        if self._tap is not None:
            self._tap.close()
            self._tap = self._track = None
        self._ring.clear()
        return complete

    def _fail(self, why: str) -> None:
        self.failed += 1
        if self.failed == 1:
            logger.warning("an event has no clip: %s", why)
