"""Flow control: which frame is sent next, and when. No I/O, no threads; time is an argument."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_client.frames import Frame
from stream_client.options import DropPolicy
from stream_client.pipeline.references import References


class FrameQueue(Protocol):
    """Frames between the source and the sender."""

    def offer(self, frame: Frame) -> Sequence[Frame]:
        """Take a frame; returns those that are dropped for it, or with it. Only call when :meth:`has_room`."""

    def has_room(self) -> bool:
        """Whether a frame can be offered now."""

    def take(self) -> Frame | None:
        """The next frame to send, or ``None``."""

    def drain(self) -> list[Frame]:
        """Remove and return everything."""

    def __len__(self) -> int: ...


class BlockingFrameQueue:
    """Policy ``block``: first in, first out, and the source waits while it is full."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._frames: deque[Frame] = deque()

    def offer(self, frame: Frame) -> Sequence[Frame]:
        """Append; never drops."""
        self._frames.append(frame)
        return ()

    def has_room(self) -> bool:
        """Whether fewer than ``capacity`` frames wait."""
        return len(self._frames) < self._capacity

    def take(self) -> Frame | None:
        """The oldest frame."""
        return self._frames.popleft() if self._frames else None

    def drain(self) -> list[Frame]:
        """Remove and return everything."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def __len__(self) -> int:
        return len(self._frames)


class LatestFrameQueue:
    """Policy ``latest``: one place; a newer frame takes it, so what is sent is never stale.

    Frames of H.264 take what they need of those that they replace.
    """

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._references = References()

    def offer(self, frame: Frame) -> Sequence[Frame]:
        """Take the place, if the frame can be decoded."""
        dropped = [] if self._frame is None else [self._frame]
        for replaced in dropped:
            self._references.dropped(replaced)
        self._frame = frame if self._references.lead_to(frame) else None
        if self._frame is None:
            self._references.dropped(frame)
            dropped.append(frame)
        return dropped

    def has_room(self) -> bool:
        """Always: a live source must not wait."""
        return True

    def take(self) -> Frame | None:
        """The newest frame."""
        frame, self._frame = self._frame, None
        return None if frame is None else self._references.follow(frame)

    def drain(self) -> list[Frame]:
        """Remove and return everything."""
        frame = self.take()
        return [] if frame is None else [frame]

    def __len__(self) -> int:
        return 0 if self._frame is None else 1


def frame_queue(policy: DropPolicy, capacity: int = 2) -> FrameQueue:
    """The queue that follows ``policy``; ``capacity`` counts for ``block`` only."""
    return BlockingFrameQueue(capacity) if policy == "block" else LatestFrameQueue()


class Window(Protocol):
    """How many frames may be sent and unanswered."""

    @property
    def limit(self) -> int:
        """Frames in flight allowed now, at least 1."""

    def answered(self, round_trip: float, in_flight: int, now: float) -> None:
        """A frame came back after ``round_trip`` seconds, with ``in_flight`` still out."""

    def delivered(self, latency: float) -> None:
        """A frame was delivered ``latency`` seconds after its capture."""


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """Always the same number of frames."""

    limit: int

    def answered(self, round_trip: float, in_flight: int, now: float) -> None:
        """Nothing to learn."""

    def delivered(self, latency: float) -> None:
        """Nothing to learn."""


# Between whole frames: with bounds of 1 and 2, noise decides whether one or two frames wait.
SHORT_QUEUE = (0.5, 1.5)
LONG_QUEUE = (2.0, 4.0)


class AdaptiveWindow:
    """Finds the window by TCP Vegas (Brakmo and Peterson, 1995), counting frames instead of bytes.

    With W frames in flight, a round trip R and the shortest round trip B seen lately, W·(1 - B/R) frames
    are waiting rather than being worked on. With fewer than ``waiting[0]`` the server could do more: the
    window grows by one. With more than ``waiting[1]`` only latency is gained: it shrinks. In between it stays.
    :data:`SHORT_QUEUE` favors latency, :data:`LONG_QUEUE` (Linux's constants) throughput. One step
    is taken for each window of answers. B is the minimum of ``BASE_SECONDS``; when it runs out, the
    window drops to 1 for some answers, so that the next minimum is measured without a queue (as BBR's
    PROBE_RTT does). With ``latency_target`` (seconds, capture to delivery) it also shrinks while the
    smoothed latency is above the target, and does not grow above 80 % of it.
    """

    BASE_SECONDS = 20.0
    PROBE_ANSWERS = 2

    def __init__(
        self,
        *,
        initial: int = 1,
        maximum: int = 64,
        waiting: tuple[float, float] = SHORT_QUEUE,
        latency_target: float | None = None,
    ) -> None:
        self._alpha, self._beta = waiting
        self._window = initial
        self._maximum = maximum
        self._latency_target = latency_target
        self._latency = math.nan
        self._base = math.inf
        self._base_until = -math.inf
        self._probing = 0
        self._round: list[float] = []

    @property
    def limit(self) -> int:
        """Frames in flight allowed now."""
        return 1 if self._probing else self._window

    def answered(self, round_trip: float, in_flight: int, now: float) -> None:
        """Learn from an answer; see the class."""
        if self._probing:
            # Answers to frames sent before the window closed still carry the queue.
            if in_flight == 0:
                self._base = min(self._base, round_trip)
                self._probing -= 1
            return
        if now > self._base_until:
            first = math.isinf(self._base)
            self._base = round_trip if first else math.inf
            self._base_until = now + self.BASE_SECONDS
            if not first:
                self._probing = self.PROBE_ANSWERS
                self._round.clear()
                return
        self._base = min(self._base, round_trip)
        # A window that is not used says nothing about a larger one.
        if in_flight + 1 < self._window:
            self._round.clear()
            return
        self._round.append(round_trip)
        if len(self._round) >= self._window:
            self._step(sum(self._round) / len(self._round))
            self._round.clear()

    def delivered(self, latency: float) -> None:
        """Follow the latency, for the target."""
        self._latency = latency if math.isnan(self._latency) else 0.9 * self._latency + 0.1 * latency

    def _step(self, round_trip: float) -> None:
        waiting = self._window * (1.0 - self._base / round_trip)
        target = self._latency_target
        if waiting > self._beta or (target is not None and self._latency > target):
            self._window = max(1, self._window - 1)
        elif waiting < self._alpha and (target is None or not self._latency > 0.8 * target):
            self._window = min(self._maximum, self._window + 1)
