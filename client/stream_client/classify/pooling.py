"""Statistics of a sliding window, at the same cost however long the window is.

Two stacks make a queue: the newer stack sums samples as they arrive; the older stack holds sums from the middle
outwards, made when it was filled. Each sample moves once. Nothing is ever subtracted, so errors do not grow over hours.
Means and squared deviations are joined by the formulas of Chan, Golub and LeVeque (1979), "Updating formulae and a
pairwise algorithm for computing sample variances".
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Statistics of ``count`` samples, each an array over features; ``squares`` sums squared deviations."""

    count: int
    mean: Array
    squares: Array
    highest: Array
    lowest: Array

    @classmethod
    def of(cls, sample: Array) -> "Moments":
        """Those of one sample."""
        return cls(1, sample, np.zeros_like(sample), sample, sample)

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        apart = other.mean - self.mean
        share = other.count / count
        return Moments(
            count,
            self.mean + apart * share,
            self.squares + other.squares + apart * apart * (self.count * share),
            np.maximum(self.highest, other.highest),
            np.minimum(self.lowest, other.lowest),
        )

    def pooled(self, name: str) -> Array:
        """``mean``, ``sum``, ``max``, ``min``, ``std`` or ``range``."""
        if name == "mean":
            return self.mean
        if name == "sum":
            return self.mean * self.count
        if name == "max":
            return self.highest
        if name == "min":
            return self.lowest
        if name == "std":
            deviation: Array = np.sqrt(self.squares / self.count)
            return deviation
        return self.highest - self.lowest


class SlidingMoments:
    """The statistics of the newest ``length`` samples."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.clear()

    def clear(self) -> None:
        """Forget all samples."""
        self._older: list[Moments] = []
        self._newer: list[Array] = []
        self._sum: Moments | None = None

    def push(self, sample: Array) -> None:
        """Take a sample; the oldest leaves when there are more than ``length``. The array is kept."""
        if len(self._older) + len(self._newer) == self._length:
            if not self._older:
                self._turn_over()
            self._older.pop()
        self._newer.append(sample)
        alone = Moments.of(sample)
        self._sum = alone if self._sum is None else self._sum + alone

    @property
    def value(self) -> Moments:
        """The statistics now; there has to be a sample."""
        if not self._older:
            assert self._sum is not None
            return self._sum
        return self._older[-1] if self._sum is None else self._older[-1] + self._sum

    def _turn_over(self) -> None:
        for sample in reversed(self._newer):
            alone = Moments.of(sample)
            self._older.append(alone + self._older[-1] if self._older else alone)
        self._newer = []
        self._sum = None
