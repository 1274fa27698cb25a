"""Durations counted by bucket."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS = (
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0),
)
"""Upper bounds in seconds, six a decade: neighbors differ by 5/3 at most, which bounds a quantile's error."""


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """``counts`` has one more entry than ``bounds``: what is above the last bound. ``total`` is in seconds."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float

    @property
    def count(self) -> int:
        """Observations."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The duration that ``share`` (0…1) of the observations do not exceed, interpolated in its bucket.

        ``None`` without observations; the last bound where it lies above that.
        """
        wanted, below, low = share * self.count, 0, 0.0
        for bound, inside in zip(self.bounds, self.counts, strict=False):
            if inside and below + inside >= wanted:
                return low + (bound - low) * max(0.0, wanted - below) / inside
            below, low = below + inside, bound
        return self.bounds[-1] if self.count else None


class Histogram:
    """Counts durations by bucket; a bucket holds what is at most its bound. Not thread-safe."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float] = BUCKETS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration; ``nan``, a stage that was not passed, is left out."""
        if seconds == seconds:  # noqa: PLR0124 - the cheapest test for nan
            self._counts[bisect_left(self._bounds, seconds)] += 1
            self._total += seconds

    def snapshot(self) -> HistogramSnapshot:
        """The counts now."""
        return HistogramSnapshot(self._bounds, tuple(self._counts), self._total)
