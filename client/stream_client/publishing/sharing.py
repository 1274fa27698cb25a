"""Frames encoded once for all outputs that want the same of them."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from stream_client.frames import Image, Result
from stream_client.publishing.encoder import Encoder, EncoderFactory
from stream_client.publishing.shared_sound import SoundPool
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE, split_access_unit
from stream_client.util.media import even

KEY_SECONDS = 1.0
"""Seconds between key frames, at most, of the clock and of the frames' times. Viewers can join within this time."""
LIMITED_KEY_SECONDS = 2.0
"""The same where the bit rate is limited: key frames are what costs most."""
_IDR = 5
_NOT_SENT_YET = 300
"""Encoded frames that an output may leave untaken. Beyond them it starts afresh with a key frame."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame to encode: its image, its media time in seconds, and the rest as in ``PublishedFrame``."""

    image: Image
    time: float
    captured: float
    index: int
    wall_clock: float


def raw_frame(result: Result) -> RawFrame:
    """What to encode of a result."""
    frame = result.frame
    if frame.capture_time is not None:
        wall_clock = frame.capture_time / 1e6
    else:
        wall_clock = time.time() - (time.monotonic() - frame.captured)
    return RawFrame(even(result.image), result.time, frame.captured, frame.index, wall_clock)


class Tap:
    """What one output takes from a shared encoder. One thread uses it. Only :meth:`abort` is for other threads."""

    def __init__(self, encoder: "SharedEncoder", on_close: "Callable[[Tap], None]") -> None:
        self._encoder = encoder
        self._on_close = on_close
        self.waiting: deque[PublishedFrame] = deque()
        self.wants_key = True

    def first(self, raw: RawFrame) -> PublishedFrame:
        """A key frame that shows ``raw``."""
        while True:
            self.restart()
            self._encoder.encode(raw, again=True)
            if self.waiting:
                return self.waiting[0]

    def encode(self, raw: RawFrame) -> list[PublishedFrame]:
        """What is new for this output, now that ``raw`` has come; the frame itself is encoded once for all."""
        self._encoder.encode(raw, again=self.wants_key)
        return self._take()

    def repeat(self, raw: RawFrame, after: float) -> list[PublishedFrame]:
        """As :meth:`encode`, with ``raw``, the last frame, again if nothing was encoded for ``after`` seconds."""
        self._encoder.repeat(raw, after)
        return self._take()

    def restart(self) -> None:
        """Forget what waits; the next frame is a key frame."""
        self._encoder.restart(self)

    def abort(self) -> None:
        """Make a waiting call fail now, unless others share the encoder."""
        self._encoder.abort()

    def close(self) -> None:
        """Take nothing more. The last output ends the encoder."""
        self._on_close(self)

    def _take(self) -> list[PublishedFrame]:
        return self._encoder.take(self)


class SharedEncoder:
    """One encoder and the taps of its outputs. Safe from any thread: who comes first with a frame encodes it."""

    def __init__(self, encoder: Encoder, key_seconds: float) -> None:
        self._key_seconds = key_seconds
        self._encoder = encoder
        self._lock = threading.Lock()
        self._taps: list[Tap] = []
        self._last: RawFrame | None = None
        self._ticks = self._first_ticks = -1
        self._encoded_at, self._next_key = -math.inf, 0.0
        self._next_key_ticks = 0
        self._in_encoder: deque[tuple[int, RawFrame]] = deque()

    def join(self, tap: Tap) -> None:
        """Another output."""
        with self._lock:
            self._taps.append(tap)

    def leave(self, tap: Tap) -> bool:
        """An output goes. ``False``: it was the last one, and the encoder is closed."""
        with self._lock:
            if tap in self._taps:
                self._taps.remove(tap)
                if not self._taps:
                    self._encoder.close()
            return bool(self._taps)

    def encode(self, raw: RawFrame, *, again: bool = False) -> None:
        """Encode ``raw`` unless it has been; ``again``: in that case as a repetition."""
        with self._lock:
            self._encode_or_repeat(raw, again=again)

    def repeat(self, raw: RawFrame, after: float) -> None:
        """Encode ``raw`` again if nothing was encoded for ``after`` seconds. A new encoder has not had it yet."""
        with self._lock:
            if time.monotonic() - self._encoded_at >= after:
                self._encode_or_repeat(raw, again=True)

    def restart(self, tap: Tap) -> None:
        """``tap`` goes on with a key frame."""
        with self._lock:
            tap.waiting.clear()
            tap.wants_key = True

    def take(self, tap: Tap) -> list[PublishedFrame]:
        """What waits for ``tap``."""
        with self._lock:
            frames = list(tap.waiting)
            tap.waiting.clear()
            return frames

    def abort(self) -> None:
        """End a wait of the encoder, if only one output uses it."""
        if len(self._taps) == 1:
            self._encoder.abort()

    def _encode_or_repeat(self, raw: RawFrame, *, again: bool) -> None:
        if self._last is None or raw.index > self._last.index:
            self._last = raw
            self._encode(raw, round(raw.time * CLOCK_RATE))
            self._first_ticks = self._ticks
        elif again:
            self._encode_again(self._last)

    def _encode_again(self, raw: RawFrame) -> None:
        passed = max(0.0, time.monotonic() - self._encoded_at)
        ticks = self._ticks + round(passed * CLOCK_RATE)
        # A repetition has a later time: so it stands for a later moment, too.
        moment = raw.wall_clock + (ticks - self._first_ticks) / CLOCK_RATE
        self._encode(replace(raw, wall_clock=moment), ticks)

    def _encode(self, raw: RawFrame, ticks: int) -> None:
        # A repetition may have passed the time of the frame after it.
        self._ticks = max(ticks, self._ticks + 1)
        self._encoded_at = time.monotonic()
        self._in_encoder.append((self._ticks, raw))
        due = self._encoded_at >= self._next_key or self._ticks >= self._next_key_ticks
        key = due or any(tap.wants_key for tap in self._taps)
        if key:
            self._next_key = self._encoded_at + self._key_seconds
            self._next_key_ticks = self._ticks + round(self._key_seconds * CLOCK_RATE)
        for data in self._encoder.encode(raw.image, self._ticks, key=key):
            presentation, shown = self._in_encoder.popleft()
            is_key = any(unit[0] & 0x1F == _IDR for unit in split_access_unit(data))
            self._hand_out(PublishedFrame(data, presentation, is_key, shown.captured, shown.index, shown.wall_clock))

    def _hand_out(self, frame: PublishedFrame) -> None:
        for tap in self._taps:
            if len(tap.waiting) >= _NOT_SENT_YET:
                tap.waiting.clear()
                tap.wants_key = True
            if frame.key:
                tap.wants_key = False
            if not tap.wants_key:
                tap.waiting.append(frame)


class EncoderPool:
    """The encoders of a run's outputs. Outputs with the same size and settings share one. Safe from any thread."""

    def __init__(self) -> None:
        self.sound = SoundPool()
        self._lock = threading.Lock()
        self._encoders: dict[Hashable, SharedEncoder] = {}

    def tap(self, make: EncoderFactory, settings: Hashable, track: VideoTrack, limit: int | None) -> Tap:
        """A tap of the encoder for this track and limit; ``make`` is called where no output with ``settings`` has one.

        Raises :class:`~stream_client.errors.SinkError` where the encoder cannot be made.
        """
        key = (settings, track, limit)
        with self._lock:
            shared = self._encoders.get(key)
            if shared is None:
                seconds = KEY_SECONDS if limit is None else LIMITED_KEY_SECONDS
                shared = self._encoders[key] = SharedEncoder(make(track, limit), seconds)
            tap = Tap(shared, lambda tap: self._close(key, shared, tap))
            shared.join(tap)
            return tap

    def _close(self, key: Hashable, shared: SharedEncoder, tap: Tap) -> None:
        with self._lock:
            if not shared.leave(tap) and self._encoders.get(key) is shared:
                del self._encoders[key]
