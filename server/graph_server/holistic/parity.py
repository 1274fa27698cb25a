"""How far landmarks are from MediaPipe's, and how far they may be. For tests and benchmarks.

The limits come from runs of MediaPipe itself on frames with a noise that nobody can see, since another processor's
rounding changes landmarks as little: benchmarks/mediapipe_noise.csv.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

BOUNDS = {"pose": 0.2, "face": 0.6, "left_hand": 0.6, "right_hand": 0.6}
"""The project's bounds for median distances, in percent of the diagonal."""
PARTS = tuple(BOUNDS)

_FEW, _MANY = 10, 20
"""Over few frames distances say nothing: one hand taken for the other is a tenth of the diagonal. Only many frames have
a 95th percentile."""
_LEAST_DISTANCE = 0.01
"""Percent of the diagonal, under a tenth of a pixel in these clips: always allowed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part in ``total`` frames: in how many both have it, in how many only one, how far it is apart in the former.

    A frame's distance is the median over the part's points in percent of the frame's diagonal; ``median`` and ``p95``
    are over frames, NaN without any.
    """

    total: int
    both: int
    unlike: int
    median: float
    p95: float

    @property
    def presence(self) -> float:
        """In how many percent of frames both have the part or neither has."""
        return 100 * (1 - self.unlike / self.total)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The largest values of a :class:`Row`, infinite for any."""

    unlike: int
    median: float
    p95: float

    def admits(self, row: Row) -> bool:
        """Whether all values of ``row`` are allowed."""
        near = row.both < _FEW or (row.median <= self.median and row.p95 <= self.p95)
        return row.unlike <= self.unlike and near


def compared(
    golden: Mapping[str, npt.NDArray[Any]], found: Sequence[Mapping[str, npt.NDArray[Any]]], size: tuple[int, int]
) -> dict[str, Row]:
    """A row for each part. ``golden`` has [frames, points, x y …], 0…1, NaN where a part is not; ``found`` has
    [points, x y …] for each frame, ``size`` is the frames' width and height."""
    rows = {}
    for part in PARTS:
        there = ~np.isnan(golden[part][: len(found), 0, 0])
        here = np.array([part in landmarks for landmarks in found])
        distances = [
            np.median(np.linalg.norm((found[i][part][:, :2] - golden[part][i][:, :2]) * size, axis=1))
            for i in np.flatnonzero(there & here).tolist()
        ]
        percent = 100 * np.array(distances or [np.nan]) / np.linalg.norm(size)
        rows[part] = Row(
            total=len(found),
            both=int((there & here).sum()),
            unlike=int((there != here).sum()),
            median=float(np.median(percent)),
            p95=float(np.percentile(percent, 95)),
        )
    return rows


def allowed(noise: Path, clip: str, frames: int) -> dict[str, Allowed]:
    """What each part may differ in the first ``frames`` of ``clip``: MediaPipe's mean and three standard deviations.

    ``noise`` is the file that benchmarks/mediapipe_noise.py writes. Distances of parts that MediaPipe's runs see in
    few frames have the project's bounds.
    """
    runs: dict[str, list[Row]] = {part: [] for part in PARTS}
    with noise.open(encoding="utf-8", newline="") as file:
        for name, part, *values in csv.reader(line for line in file if not line.startswith(("#", "clip,"))):
            total, both, unlike = map(int, values[:3])
            if (name, total) == (clip, frames):
                runs[part].append(Row(total, both, unlike, *map(float, values[3:])))
    return {part: _allowed(rows, BOUNDS[part]) for part, rows in runs.items()}


def _allowed(runs: Sequence[Row], bound: float) -> Allowed:
    unlike = [run.unlike for run in runs]
    # A count scatters at least by its own square root, however alike these few runs are.
    most = max(1, int(mean(unlike) + 3 * max(stdev(unlike), math.sqrt(mean(unlike)))))
    if min(run.both for run in runs) < _MANY:
        return Allowed(most, bound, math.inf)
    medians, p95s = [run.median for run in runs], [run.p95 for run in runs]
    return Allowed(most, *(max(_LEAST_DISTANCE, mean(values) + 3 * stdev(values)) for values in (medians, p95s)))
