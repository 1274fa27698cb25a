"""How much work to give to a server so that results keep a latency budget. No I/O; time is an argument.

Frames can be smaller, or fewer. If even the fastest results are over the budget, frames become smaller. If the fastest
keep it, the others wait for one another, so fewer are sent. A step that gains nothing is taken back. A step down needs
a few late results, a step up needs seconds below the budget. If a step up does not last, the wait before the next one
doubles.
"""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import dropwhile
from statistics import fmean

DIVISORS = (1, 2, 3, 4)
"""What the sides of frames are divided by: whole numbers, since that is the fastest way to shrink."""
PARTS = (1, 2, 3, 4, 6, 8)
"""One frame in this number is sent."""
LEAST_SIDE = 160
"""The least longer side of a divided frame, in pixels."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the server gets: one frame in ``parts``, with sides divided by ``divisor``."""

    divisor: int = 1
    parts: int = 1


def divisors_for(longer: int) -> tuple[int, ...]:
    """The divisors for frames whose longer side has ``longer`` pixels."""
    return tuple(each for each in DIVISORS if each == 1 or longer // each >= LEAST_SIDE)


class _Knob:
    """What makes frames cheaper, in ``steps``: their size or rate. Their cost is 1/step to the power of ``power``."""

    def __init__(self, steps: tuple[int, ...], power: int) -> None:
        self._steps = steps
        self._power = power
        self._gains = [math.inf] * len(steps)  # by step: latency at the step before, divided by latency here
        self.step = 0
        self.wait = Budget.GROW_AFTER
        self._changed_at = self._blocked_until = -math.inf
        self._grew = False

    @property
    def value(self) -> int:
        return self._steps[self.step]

    def may_shrink(self, now: float) -> bool:
        return self.step + 1 < len(self._steps) and now >= self._blocked_until

    def shrink(self, now: float, least: float) -> None:
        """Take one step, or as many as are needed to reach the value ``least``."""
        if now - self._changed_at >= max(Budget.LASTS, 4 * self.wait):
            self.wait = Budget.GROW_AFTER
        elif self._grew:
            self._double_wait()
        step = self.step + 1
        while step + 1 < len(self._steps) and self._steps[step] < least:
            step += 1
        self._set(step, now, grew=False)

    def gained(self, gain: float) -> None:
        self._gains[self.step] = gain

    def take_back(self, now: float, step: int) -> None:
        self._set(step, now, grew=False)
        self._blocked_until = now + self.wait
        self._double_wait()

    def grow(self, now: float) -> None:
        self._set(self.step - 1, now, grew=True)

    def _set(self, step: int, now: float, *, grew: bool) -> None:
        self.step, self._changed_at, self._grew = step, now, grew

    def _double_wait(self) -> None:
        self.wait = min(2 * self.wait, Budget.LONGEST_WAIT)

    @property
    def growth(self) -> float:
        """The most that one step up can multiply the latency by."""
        cost = (self._steps[self.step] / self._steps[self.step - 1]) ** self._power
        return max(1.0, min(cost, self._gains[self.step]))


class Budget:
    """Decides :attr:`asked` from the latencies of results. ``seconds`` is the budget, from capture to result.

    ``divisors`` bound the size of frames. The budget is kept if 9 in 10 results are within it.
    """

    GROW_AFTER, LONGEST_WAIT = 5.0, 600.0
    """Seconds below the budget before a step up: at first, and at most."""
    LASTS = 60.0
    """A step up has lasted after these seconds, or after four times the wait if that is longer."""
    PROBE = 6
    """After this number of waits with results far below the budget, a step up is tried even if it may be too much."""
    RECENT, FEWEST, OVER = 30, 10, 3
    """The most recent results to judge by; the least before a step up; late results before a step down."""
    GAIN = 1.05
    """The least speed-up by a step down. With less it is taken back."""

    def __init__(self, seconds: float, divisors: tuple[int, ...] = DIVISORS) -> None:
        self.seconds = seconds
        self._size = _Knob(divisors, 2)
        self._rate = _Knob(PARTS, 1)
        self._recent: deque[float] = deque(maxlen=self.RECENT)
        self._frames: deque[int] = deque(maxlen=self.RECENT)
        self._changed_at = -math.inf
        self._tried: tuple[_Knob, float, int] | None = (
            None  # the last step down: its knob, the usual latency and the step before it
        )

    @property
    def asked(self) -> Asked:
        """What the server gets now."""
        return Asked(self._size.value, self._rate.value)

    @property
    def usual(self) -> float:
        """The 90th percentile of recent latencies, in seconds; ``nan`` if there are none."""
        return _usual(self._recent)

    def result(self, latency: float, now: float, frames: int = 1) -> None:
        """A result came ``latency`` seconds after its frame's capture, ``frames`` of the source after the last one."""
        if now - latency < self._changed_at:
            return  # its frame was captured before the last change
        self._recent.append(latency)
        self._frames.append(frames)
        late = sum(each > self.seconds for each in self._recent)
        if latency > self.seconds and late >= self.OVER and late > 0.1 * len(self._recent):
            self._less(now)
        elif len(self._recent) >= self.FEWEST:
            self._more(now)
        if self._tried is not None and len(self._recent) == self.RECENT:
            knob, before, _ = self._tried
            knob.gained(before / _usual(self._newest))
            self._tried = None

    @property
    def _newest(self) -> list[float]:
        return list(self._recent)[-self.FEWEST :]

    def _less(self, now: float) -> None:
        recent = list(dropwhile(lambda each: each <= self.seconds, self._recent))  # since it is too late
        usual = _usual(recent)
        if self._tried is not None:
            knob, before, step = self._tried
            gain = before / usual
            if gain < self.GAIN and len(self._recent) < self.FEWEST:
                return  # a queue from before the step may still be there
            knob.gained(gain)
            self._tried = None
            if gain < self.GAIN:
                knob.take_back(now, step)
                self._change(now)
                return
        waiting = min(recent) <= 0.9 * self.seconds
        for knob in (self._rate, self._size) if waiting else (self._size, self._rate):
            if knob.may_shrink(now):
                # Frames wait for one another until they are sent more rarely than results come.
                step, least = knob.step, 1.1 * fmean(self._frames) if knob is self._rate else 0.0
                knob.shrink(now, least)
                self._change(now)
                self._tried = knob, usual, step
                return

    def _more(self, now: float) -> None:
        since, usual = now - self._changed_at, self.usual
        for knob in (self._rate, self._size):
            if not knob.step:
                continue
            safe = since >= knob.wait and usual * knob.growth <= 0.9 * self.seconds
            if safe or (since >= self.PROBE * knob.wait and usual <= 0.7 * self.seconds):
                knob.grow(now)
                self._change(now)
                return

    def _change(self, now: float) -> None:
        self._recent.clear()
        self._frames.clear()
        self._changed_at = now


def _usual(latencies: Collection[float]) -> float:
    ordered = sorted(latencies)
    return ordered[math.ceil(0.9 * len(ordered)) - 1] if ordered else math.nan
