"""Frames of one size on one connection, whose line may be thinner than they want."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from stream_client.publishing.bit_rate import BitRate
from stream_client.publishing.line import Line
from stream_client.publishing.shared_sound import SoundTap
from stream_client.publishing.sharing import KEY_SECONDS, RawFrame, Tap
from stream_client.publishing.shrinking import Shrinking
from stream_client.publishing.wire import DEFAULT_RATE, PublishedFrame, VideoTrack, Wire
from stream_client.rtsp.h264 import CLOCK_RATE

_SOUND_SECONDS = 1.0
"""Over which the rate of the sound is measured at least."""
OpenTap = Callable[[VideoTrack, int | None], Tap]
"""Opens a tap of an encoder for a track, with a limit in bits a second, or without one."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``latency``: seconds that frames may wait on their way. ``rate``: bits a second, or found by itself.

    ``lowest_rate``: bits a second that a found rate does not fall below.
    """

    latency: float = 0.5
    rate: int | Literal["auto"] = "auto"
    lowest_rate: int = 50_000


@dataclass(slots=True)
class LineReport:
    """What a line carries and what the frames want, in bits a second; ``None`` where it never was the limit.

    ``limited``: seconds in which the line was the limit. ``age``: seconds from the capture of the frame that was sent
    last until it has arrived, as far as this side can know. ``sound``: packets of sound that were sent, and
    ``sound_dropped`` those that were not.
    """

    carries: float | None = None
    wanted: float = 0.0
    limit: int | None = None
    limited: float = 0.0
    age: float = 0.0
    sound: int = 0
    sound_dropped: int = 0


class Session:
    """An encoder's tap and a wire. One thread uses it. Only :meth:`abort` is for other threads.

    What waits on the line is bounded in time: beyond the bound nothing is sent, and then a key frame of what is new.
    ``sound``, which its owner closes, follows the frames that it belongs to, and no frame waits for it. ``report`` is
    kept from one session to the next.
    """

    REPEAT_SECONDS = 0.2
    """Seconds. When nothing new comes, the last frame is sent again: servers cut a silent publisher."""
    TOLERATED = 0.4
    """Of the latency bound: a lag above this lowers the bit rate, and one below it ends a pause."""

    def __init__(
        self,
        open_tap: OpenTap,
        wire: Wire,
        track: VideoTrack,
        bounds: Bounds,
        report: LineReport,
        sound: SoundTap | None = None,
        shrinking: Shrinking | None = None,
    ) -> None:
        self.track = track
        self._shrinking = shrinking or Shrinking()
        self._parts = self._shrinking.parts
        self._sent_time = -math.inf
        self._wanted = 0.0  # by the frames as they are now
        self._sound_start: float | None = None
        self._sound_bytes, self._sound_rate = 0, 0.0
        self._open_tap = open_tap
        self._wire = wire
        self._bounds = bounds
        self._report = report
        self._line = Line()
        self._rate = BitRate(lowest=bounds.lowest_rate, tolerated=self.TOLERATED * bounds.latency)
        self._limit = None if bounds.rate == "auto" else bounds.rate
        self._tap = self._new_tap()
        self._sound = sound
        self._last: RawFrame | None = None
        self._began_with: int | None = None
        self._presented = -1
        self._known = False  # what waits on the line
        self._pausing = False
        self._blocked = 0.0
        self._looked = time.monotonic()
        self._unlimited_frames = self._unlimited_bytes = 0
        self._frame_seconds = 1.0 / float(track.frame_rate or DEFAULT_RATE)

    def begin(self, raw: RawFrame, within: float) -> None:
        """Connect and announce the stream, in ``within`` seconds. Nothing is sent yet."""
        sound = None if self._sound is None else self._sound.format
        self._wire.open(self.track, self._tap.first(raw), within, sound)
        self._last, self._began_with = raw, raw.index
        self._looked = time.monotonic()

    def send(self, raw: RawFrame) -> list[PublishedFrame]:
        """Send ``raw`` and what else is new, if the line has room; what was sent."""
        if self._began_with not in (None, raw.index):
            self._tap.restart()  # opening took time: the stream begins with what is new now
        self._last, self._began_with = raw, None
        return self._send(self._tap.encode(raw)) if self._has_room() and self._is_due(raw) else []

    def repeat(self) -> list[PublishedFrame]:
        """Send the last frame again, unless another output has just done so; what was sent."""
        if self._last is None or not self._has_room():
            return []
        return self._send(self._tap.repeat(self._last, self.REPEAT_SECONDS))

    def abort(self) -> None:
        """Make every waiting call fail now. Called from another thread."""
        self._wire.abort()
        self._tap.abort()

    def close(self) -> None:
        """Leave the server and the encoder."""
        try:
            self._wire.close()
        finally:
            self._tap.close()

    def _new_tap(self) -> Tap:
        # An encoder gives each frame its share of the bit rate, so it has to know how many there are.
        rate = (self.track.frame_rate or DEFAULT_RATE) / self._parts
        track = self.track if self._parts == 1 else replace(self.track, frame_rate=rate)
        return self._open_tap(track, self._limit)

    def _is_due(self, raw: RawFrame) -> bool:
        """Whether it is one of those that are sent, where only one in some is."""
        due = raw.time >= self._sent_time + (self._parts - 0.5) * self._frame_seconds
        self._sent_time = raw.time if due else min(self._sent_time, raw.time)
        return due

    def _send(self, frames: list[PublishedFrame]) -> list[PublishedFrame]:
        for frame in frames:
            # Another encoder begins at the frame's own time, which repetitions of the one before may have passed.
            self._presented = max(frame.time, self._presented + 1)
            began = time.monotonic()
            size = self._wire.send(replace(frame, time=self._presented))
            sound_size = self._send_sound(frame.time / CLOCK_RATE)
            now = time.monotonic()
            self._blocked = now - began
            if self._known:
                self._line.sent(size + sound_size, now)
            self._report.age = now - frame.captured + self._line.lag(now)
            if self._limit is None:
                self._unlimited_frames += 1
                self._unlimited_bytes += size
                seconds = max(self._unlimited_frames * self._frame_seconds * self._parts, KEY_SECONDS)
                self._wanted = 8.0 * self._unlimited_bytes / seconds
                if not self._shrinking.step:
                    self._report.wanted = self._wanted
        return frames

    def _send_sound(self, before: float) -> int:
        """Send what belongs before that time, in seconds of the source, but not before the first frame; its bytes."""
        if self._sound is None:
            return 0
        if self._sound_start is None:
            self._sound_start = before
        packets = [packet for packet in self._sound.take(before) if packet.time >= self._sound_start]
        size = sum(map(self._wire.send_sound, packets))
        self._report.sound_dropped += self._sound.dropped()
        self._report.sound += len(packets)
        self._sound_bytes += size
        self._sound_rate = 8.0 * self._sound_bytes / max(before - self._sound_start, _SOUND_SECONDS)
        return size

    def _has_room(self) -> bool:
        now = time.monotonic()
        queued = self._wire.queued()
        self._known = queued is not None
        if queued is None:
            return True
        self._line.queued(queued, now)
        lag = max(self._line.lag(now), self._blocked)
        self._blocked = 0.0
        self._adapt(now, lag)
        if lag > self._bounds.latency:
            self._pausing = True
        elif self._pausing and lag <= self.TOLERATED * self._bounds.latency:
            self._pausing = False
            self._tap.restart()
        if self._pausing and self._sound is not None and self._last is not None:
            self._sound.skip(self._last.time)
            self._report.sound_dropped += self._sound.dropped()
        return not self._pausing

    def _adapt(self, now: float, lag: float) -> None:
        report = self._report
        carries = None if self._line.rate is None else 8.0 * self._line.rate
        if self._pausing or self._rate.limit is not None:
            report.limited += now - self._looked
            report.carries = carries
        self._looked = now
        if self._bounds.rate != "auto":
            return
        left = None if carries is None else max(carries - self._sound_rate, 1.0)
        self._rate.update(now, lag=lag, line=left, wanted=self._wanted)
        report.limit = self._rate.limit
        self._shrinking.update(now, limit=self._rate.limit, wanted=self._wanted)
        parts = self._shrinking.parts
        if parts != self._parts:  # half as many frames differ more: a guess, until they are seen
            self._wanted *= math.sqrt(self._parts / parts)
            self._unlimited_frames = self._unlimited_bytes = 0
        if (self._rate.limit, parts) != (self._limit, self._parts):
            self._limit, self._parts = self._rate.limit, parts
            tap = self._new_tap()
            self._tap.close()
            self._tap = tap
