"""Encoded frames on their way from one encoder to several outputs."""

import math
from collections import deque

from stream_client.publishing.wire import PublishedFrame
from stream_client.rtsp.h264 import CLOCK_RATE

_NOT_SENT_YET = 300
"""Encoded frames that an output may leave untaken. Beyond them it starts afresh with a key frame."""


class Waiting:
    """The frames that wait for one output, from a key frame on. The owner of the ``Handout`` locks it."""

    def __init__(self) -> None:
        self._frames: deque[PublishedFrame] = deque()
        self.wants_key = True

    def put(self, frame: PublishedFrame) -> None:
        """Another frame, unless a key frame has to come first."""
        if len(self._frames) >= _NOT_SENT_YET:
            self.restart()
        if frame.key:
            self.wants_key = False
        if not self.wants_key:
            self._frames.append(frame)

    def restart(self) -> None:
        """Forget what waits; the next frame is a key frame."""
        self._frames.clear()
        self.wants_key = True

    def first(self) -> PublishedFrame | None:
        """The oldest one; it stays."""
        return self._frames[0] if self._frames else None

    def take(self, index: float = math.inf) -> list[PublishedFrame]:
        """What there is up to the source's frame of that number."""
        taken = []
        while self._frames and self._frames[0].index <= index:
            taken.append(self._frames.popleft())
        return taken


class Handout:
    """Gives an encoder's frames to its outputs, and says which ones have to be key frames. Its owner locks it.

    ``key_seconds``: seconds between key frames, at most, of the clock and of the frames' times.
    """

    def __init__(self, key_seconds: float) -> None:
        self._key_seconds = key_seconds
        self._outputs: list[Waiting] = []
        self._next_key, self._next_key_ticks = 0.0, 0

    def __len__(self) -> int:
        return len(self._outputs)

    def join(self, output: Waiting) -> None:
        """Another output."""
        self._outputs.append(output)

    def leave(self, output: Waiting) -> bool:
        """It takes nothing more. ``False``: it had left before."""
        if output not in self._outputs:
            return False
        self._outputs.remove(output)
        return True

    def wants_key(self, now: float, ticks: int) -> bool:
        """Whether the frame that is encoded ``now`` has to be a key frame; ``ticks``: its presentation time."""
        due = bool(self._outputs) and (now >= self._next_key or ticks >= self._next_key_ticks)
        key = due or any(output.wants_key for output in self._outputs)
        if key:
            self._next_key = now + self._key_seconds
            self._next_key_ticks = ticks + round(self._key_seconds * CLOCK_RATE)
        return key

    def put(self, frame: PublishedFrame) -> None:
        """Hand out a frame."""
        for output in self._outputs:
            output.put(frame)
