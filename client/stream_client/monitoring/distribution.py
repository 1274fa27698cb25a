"""Many durations in a few numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Mean, percentiles and extremes of ``count`` values, in their unit."""

    count: int
    mean: float
    minimum: float
    p50: float
    p90: float
    p95: float
    p99: float
    maximum: float

    def times(self, factor: float) -> "Distribution":
        """The same in another unit: each value ``factor`` times as large."""
        values = {name: value * factor for name, value in asdict(self).items() if name != "count"}
        return Distribution(self.count, **values)


def distribution(values: Sequence[float]) -> Distribution | None:
    """The distribution of ``values``; percentiles are interpolated linearly. ``None`` without values."""
    if not len(values):
        return None
    array = np.asarray(values, np.float64)
    p50, p90, p95, p99 = (float(value) for value in np.percentile(array, PERCENTILES))
    return Distribution(len(array), float(array.mean()), float(array.min()), p50, p90, p95, p99, float(array.max()))
