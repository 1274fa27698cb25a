"""The bit rate that an output gives its encoder: down quickly, up slowly. No I/O, no clock: ``now`` is an argument."""

import math

STEP = 1.15
"""Rates are powers of this, so that outputs on similar lines share an encoder."""


class BitRate:
    """Follows a line. Rates are in bits a second. ``limit`` is ``None`` while the frames have what they want.

    ``lowest`` is the smallest limit. A lag above ``tolerated`` seconds brings the limit below what the line carries;
    once there has been none for :attr:`RISE_AFTER` seconds, it rises by one step. Where a rise brings a lag, the next
    one waits twice as long.
    """

    SHARE = 0.9
    """Of the line's rate: the rest lets the queue shrink, and carries packet headers."""
    RISE_AFTER, LONGEST_WAIT = 2.0, 30.0
    """Seconds without a lag before a rise, and the longest that this grows to."""
    QUICK = 0.25
    """Seconds between two steps down."""

    def __init__(self, *, lowest: float, tolerated: float) -> None:
        self._lowest = lowest
        self._tolerated = tolerated
        self._wait = self.RISE_AFTER
        self._changed_at = -math.inf
        self._clear_since: float | None = None
        self._rose = False
        self.limit: int | None = None

    def update(self, now: float, *, lag: float, line: float | None, wanted: float) -> None:
        """``lag`` in seconds; what the ``line`` carries, where that is known; what the frames want without a limit."""
        if lag > self._tolerated:
            self._clear_since = None
            self._lower(now, line or wanted / STEP)
        elif self._clear_since is None:
            self._clear_since = now
        elif self.limit is not None and now - max(self._clear_since, self._changed_at) >= self._wait:
            self._raise(now, wanted)

    def _lower(self, now: float, line: float) -> None:
        target = _step_below(max(self._lowest, self.SHARE * line))
        if now - self._changed_at < self.QUICK or (self.limit is not None and target >= self.limit):
            return
        if self._rose:
            self._wait = min(2 * self._wait, self.LONGEST_WAIT)
        self._set(now, target, rose=False)

    def _raise(self, now: float, wanted: float) -> None:
        assert self.limit is not None
        higher = _step_below(self.limit * STEP * STEP**0.5)
        self._set(now, higher if higher < 1.5 * wanted else None, rose=True)

    def _set(self, now: float, limit: int | None, *, rose: bool) -> None:
        self.limit, self._changed_at, self._rose = limit, now, rose
        if not rose:
            return
        self._clear_since = now


def _step_below(rate: float) -> int:
    return round(STEP ** math.floor(math.log(rate, STEP) + 1e-6))
