"""Frames encoded once for all live outputs that want the same of them."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from stream_client.frames import Image, Planes, Result
from stream_client.publishing.encoder import Encoder
from stream_client.publishing.handout import Handout, Waiting
from stream_client.publishing.wire import PublishedFrame
from stream_client.rtsp.h264 import CLOCK_RATE, split_access_unit
from stream_client.util.media import even

KEY_SECONDS = 1.0
"""Seconds between key frames, at most, of the clock and of the frames' times. Viewers can join within this time."""
LIMITED_KEY_SECONDS = 2.0
"""The same where the bit rate is limited: key frames are what costs most."""
_IDR = 5


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame to encode: its image, its media time in seconds, and the rest as in ``PublishedFrame``.

    Where there are ``planes``, they are encoded, and the image is black.
    """

    image: Image
    time: float
    captured: float
    index: int
    wall_clock: float
    planes: Planes | None = None

    @property
    def picture(self) -> Image | Planes:
        """What is encoded."""
        return self.image if self.planes is None else self.planes


def raw_frame(result: Result) -> RawFrame:
    """What to encode of a result."""
    frame = result.frame
    if frame.capture_time is not None:
        wall_clock = frame.capture_time / 1e6
    else:
        wall_clock = time.time() - (time.monotonic() - frame.captured)
    return RawFrame(even(result.image), result.time, frame.captured, frame.index, wall_clock, result.planes)


class Tap(Protocol):
    """What one output takes of encoded frames. One thread uses it. Only :meth:`abort` is for other threads."""

    def first(self, raw: RawFrame) -> PublishedFrame:
        """A key frame that shows ``raw``."""

    def encode(self, raw: RawFrame) -> list[PublishedFrame]:
        """What is new for this output, now that ``raw`` has come; the frame itself is encoded once for all."""

    def repeat(self, raw: RawFrame, after: float) -> list[PublishedFrame]:
        """As :meth:`encode`, with ``raw``, the last frame, again if nothing was encoded for ``after`` seconds."""

    def restart(self) -> None:
        """Forget what waits; the next frame is a key frame."""

    def abort(self) -> None:
        """Make a waiting call fail now, unless others share the encoder."""

    def close(self) -> None:
        """Take nothing more. The last output ends the encoder."""


class SharedTap:
    """The :class:`Tap` of an encoder that live outputs share."""

    def __init__(self, encoder: "SharedEncoder", on_close: "Callable[[SharedTap], None]") -> None:
        self._encoder = encoder
        self._on_close = on_close
        self.waiting = Waiting()

    def first(self, raw: RawFrame) -> PublishedFrame:
        """A key frame that shows ``raw``."""
        while True:
            self.restart()
            self._encoder.encode(raw, again=True)
            if (first := self.waiting.first()) is not None:
                return first

    def encode(self, raw: RawFrame) -> list[PublishedFrame]:
        """What is new, now that ``raw`` has come."""
        self._encoder.encode(raw, again=self.waiting.wants_key)
        return self._encoder.take(self)

    def repeat(self, raw: RawFrame, after: float) -> list[PublishedFrame]:
        """As :meth:`encode`, with ``raw`` again if nothing was encoded for ``after`` seconds."""
        self._encoder.repeat(raw, after)
        return self._encoder.take(self)

    def restart(self) -> None:
        """Forget what waits; the next frame is a key frame."""
        self._encoder.restart(self)

    def abort(self) -> None:
        """Make a waiting call fail now, unless others share the encoder."""
        self._encoder.abort()

    def close(self) -> None:
        """Take nothing more. The last output ends the encoder."""
        self._on_close(self)


class SharedEncoder:
    """One encoder and the taps of its outputs. Safe from any thread: who comes first with a frame encodes it."""

    def __init__(self, encoder: Encoder, key_seconds: float) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._handout = Handout(key_seconds)
        self._last: RawFrame | None = None
        self._ticks = self._first_ticks = -1
        self._encoded_at = -math.inf
        self._in_encoder: deque[tuple[int, RawFrame]] = deque()

    def join(self, tap: SharedTap) -> None:
        """Another output."""
        with self._lock:
            self._handout.join(tap.waiting)

    def leave(self, tap: SharedTap) -> bool:
        """An output goes. ``False``: it was the last one, and the encoder is closed."""
        with self._lock:
            if self._handout.leave(tap.waiting) and not self._handout:
                self._encoder.close()
            return bool(self._handout)

    def encode(self, raw: RawFrame, *, again: bool = False) -> None:
        """Encode ``raw`` unless it has been; ``again``: in that case as a repetition."""
        with self._lock:
            self._encode_or_repeat(raw, again=again)

    def repeat(self, raw: RawFrame, after: float) -> None:
        """Encode ``raw`` again if nothing was encoded for ``after`` seconds. A new encoder has not had it yet."""
        with self._lock:
            if time.monotonic() - self._encoded_at >= after:
                self._encode_or_repeat(raw, again=True)

    def restart(self, tap: SharedTap) -> None:
        """``tap`` goes on with a key frame."""
        with self._lock:
            tap.waiting.restart()

    def take(self, tap: SharedTap) -> list[PublishedFrame]:
        """What waits for ``tap``."""
        with self._lock:
            return tap.waiting.take()

    def abort(self) -> None:
        """End a wait of the encoder, if only one output uses it."""
        if len(self._handout) == 1:
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
        key = self._handout.wants_key(self._encoded_at, self._ticks)
        for data in self._encoder.encode(raw.picture, self._ticks, key=key):
            presentation, shown = self._in_encoder.popleft()
            is_key = any(unit[0] & 0x1F == _IDR for unit in split_access_unit(data))
            self._handout.put(PublishedFrame(data, presentation, is_key, shown.captured, shown.index, shown.wall_clock))
