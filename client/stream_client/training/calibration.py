"""Probabilities that mean what they say, and thresholds, from held-out data."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss, precision_recall_curve

from stream_client.classify.decision import Thresholds
from stream_client.training.grouping import Integers

Array = npt.NDArray[np.float64]

SMALLEST = 1e-4
"""A forest says 0 or 1 where all its trees agree. The logarithm needs more than 0."""
_TEMPERATURES = (0.25, 4.0)
_ENTER = (0.4, 0.9)
_EXIT = 0.2
_STAYING = 0.05
"""The share of a label's own windows that may fall below its threshold to leave."""


def temperature_of(probabilities: Array, targets: Integers) -> float:
    """The temperature with the smallest log loss on held-out ``probabilities`` [rows, labels].

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2. 1 if there are too few rows.
    """
    if len(targets) < 2 * probabilities.shape[1] or len(np.unique(targets)) < 2:
        return 1.0
    labels = np.arange(probabilities.shape[1])

    def loss(logarithm: float) -> float:
        return float(log_loss(targets, tempered(probabilities, float(np.exp(logarithm))), labels=labels))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded").x))


def tempered(probabilities: Array, temperature: float) -> Array:
    """Probabilities [rows, labels] at a temperature: above 1 they are less certain."""
    powers = np.maximum(probabilities, SMALLEST) ** (1 / temperature)
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def calibration_error(
    probabilities: Array, targets: Integers, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """The expected calibration error, and for each filled bin the mean confidence, the accuracy and the count."""
    if not len(targets):
        return float("nan"), []
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    points = [
        (float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for here in (places == place for place in range(bins))
        if here.any()
    ]
    error = sum(abs(sure - share) * count for sure, share, count in points) / len(targets)
    return error, points


def thresholds_of(probabilities: Array, targets: Integers, labels: Sequence[str]) -> dict[str, Thresholds]:
    """For each label, the thresholds on held-out probabilities [rows, labels].

    A label is entered where precision and recall are best together (F1), and left where only one in twenty of its own
    rows falls below. Labels without held-out rows are left out.
    """
    found = {}
    for position, label in enumerate(labels):
        own = targets == position
        if not own.any() or own.all():
            continue
        precision, recall, candidates = precision_recall_curve(own, probabilities[:, position])
        both = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        best = int(both[:-1].argmax())
        # Halfway to the next lower probability, so that a little less than the lowest of its own still enters.
        lower = float(candidates[best - 1]) if best else 0.0
        enter = float(np.clip((candidates[best] + lower) / 2, *_ENTER))
        staying = float(np.quantile(probabilities[own, position], _STAYING))
        found[label] = Thresholds(round(enter, 3), round(float(np.clip(staying, _EXIT, enter - 0.1)), 3))
    return found
