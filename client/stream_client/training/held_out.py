"""What the finished model would have said about rows that it was not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream_client.classify.decision import UNKNOWN, Thresholds
from stream_client.training.calibration import calibration_error, temperature_of, tempered, thresholds_of
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import Matrix, Scores, confusion_of
from stream_client.training.grouping import Integers
from stream_client.training.guarding import Guarded

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """``rows`` are the positions of the held-out rows, ``targets`` their labels, positions in ``labels``.

    ``probabilities`` [rows, labels] are calibrated, and guarded if there is a guard; ``labels`` has ``unknown`` then.
    ``errors`` are the expected calibration errors before and after calibration, ``calibration`` has the mean
    confidence, the accuracy and the count of each bin after it. ``left_out`` is as in :class:`.Guarded`.
    """

    labels: tuple[str, ...]
    rows: Integers
    targets: Integers
    probabilities: Array
    temperature: float
    errors: tuple[float, float]
    calibration: tuple[tuple[float, float, int], ...]
    thresholds: Mapping[str, Thresholds]
    left_out: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, scores: Scores, guarded: Guarded | None) -> "HeldOut":
        """What the scores of a cross-validation become with calibration and guard."""
        rows = np.flatnonzero(~np.isnan(scores.probabilities[:, 0]))
        targets, plain = dataset.targets[rows], scores.probabilities[rows]
        temperature = temperature_of(plain, targets)
        calibrated = tempered(plain, temperature)
        error, points = calibration_error(calibrated, targets)
        labels, final = dataset.labels, calibrated
        if guarded is not None:
            labels, final = _guarded(dataset.labels, calibrated, np.nan_to_num(guarded.known[rows], nan=1.0))
        return cls(
            labels=labels,
            rows=rows,
            targets=targets,
            probabilities=final,
            temperature=temperature,
            errors=(calibration_error(plain, targets)[0], error),
            calibration=tuple(points),
            thresholds=thresholds_of(final, targets, labels),
            left_out={} if guarded is None else guarded.left_out,
        )

    @property
    def confusion(self) -> Matrix:
        """[true, predicted] counts, with ``unknown`` among the predictions."""
        return confusion_of(self.targets, self.probabilities)

    @property
    def unknown_share(self) -> float:
        """The share of rows of other labels that became unknown. 0 without a guard."""
        if UNKNOWN not in self.labels or not len(self.rows):
            return 0.0
        unknown = self.labels.index(UNKNOWN)
        others = self.targets != unknown
        return float(np.mean(self.probabilities[others].argmax(axis=1) == unknown)) if others.any() else 0.0


def _guarded(labels: tuple[str, ...], calibrated: Array, known: Array) -> tuple[tuple[str, ...], Array]:
    final = calibrated * known[:, None]
    if UNKNOWN in labels:
        final[:, labels.index(UNKNOWN)] += 1 - known
        return labels, final
    return (*labels, UNKNOWN), np.concatenate([final, 1 - known[:, None]], axis=1)
