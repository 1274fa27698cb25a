"""How far an output's frames are shrunk on a line that is too thin for them. No I/O, no clock: ``now`` is an argument.

The bit rate follows the line first. Where it leaves less than :attr:`Shrinking.SHARE` of what the frames want, so that
they would be blurred beyond use, each step makes them half as wide and high, or half as many.
"""

import math
from typing import Literal

Shrunk = Literal["nothing", "size", "rate"]


class Shrinking:
    """``what`` is halved ``step`` times. One output has it over all its connections."""

    SHARE = 0.25
    """Of what the frames want: a smaller limit shrinks them."""
    MOST = 2
    """Steps: a quarter of the sides, or of the frames."""
    SETTLE = 2.0
    """Seconds between two steps down, in which what the shrunk frames want shows."""
    GROW_AFTER, LONGEST_WAIT = 20.0, 600.0
    """Seconds without a limit before a step up, and the longest that this grows to: where a step up did not last, the
    next one waits twice as long."""

    def __init__(self, what: Shrunk = "nothing") -> None:
        self.what = what
        self.step = 0
        self._wait = self.GROW_AFTER
        self._grew = False
        self._changed_at = -math.inf
        self._free_since: float | None = None

    @property
    def parts(self) -> int:
        """One in so many frames is sent."""
        return 2**self.step if self.what == "rate" else 1

    def side(self, longer: int) -> int:
        """What the longer side of frames becomes, in pixels."""
        return longer // 2**self.step if self.what == "size" else longer

    @property
    def words(self) -> str:
        """``half the size``, ``a quarter of the rate``; empty where nothing is shrunk."""
        return "" if not self.step else f"{('half', 'a quarter of')[self.step - 1]} the {self.what}"

    def update(self, now: float, *, limit: int | None, wanted: float) -> None:
        """Bits a second: the encoder's ``limit``, and what the frames as they are now want."""
        if self.what == "nothing":
            return
        if limit is None:
            self._free_since = now if self._free_since is None else self._free_since
            if self.step and now - self._free_since >= self._wait:
                self._set(now, self.step - 1)
            return
        self._free_since = None
        if limit < self.SHARE * wanted and self.step < self.MOST and now - self._changed_at >= self.SETTLE:
            self._set(now, self.step + 1)

    def _set(self, now: float, step: int) -> None:
        grows = step < self.step
        if self._grew and not grows:
            self._wait = min(2 * self._wait, self.LONGEST_WAIT)
        self.step, self._grew, self._changed_at, self._free_since = step, grows, now, None
