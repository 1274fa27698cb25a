"""Compares models on the same folds, and chooses one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from stream_client.classify.decision import Decision
from stream_client.classify.models import TrainedModel
from stream_client.classify.windows import Window
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import (
    Fold,
    Scores,
    calm,
    cross_validate,
    equally_accurate,
    fit,
    random_folds,
    scores_of,
)

_AS_STEADY = 0.02
"""A more accurate model may agree with itself at lower frame rates by this share less, and not by more."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen model, fitted to all rows of ``dataset``.

    ``results`` are the scores of all models that were compared. ``steadiness`` has that of some models, by name.
    """

    scores: Scores
    estimator: Any
    dataset: Dataset
    results: Sequence[Scores]
    steadiness: Mapping[str, float]


class Selection:
    """Compares models on ``folds`` of ``dataset``. ``bar`` moves on with each fold."""

    def __init__(self, dataset: Dataset, folds: Sequence[Fold], bar: "tqdm[Any]") -> None:
        self._dataset = dataset
        self._folds = folds
        self._bar = bar

    def choose(self, models: Sequence[str]) -> Chosen:
        """The most accurate model. For clips, the steadiest of all within two of its standard errors.

        It is compared with itself without augmented rows.
        """
        dataset = self._dataset
        results = [self._scores(model, self._folds, dataset) for model in models]
        finalists = equally_accurate(results)[: None if dataset.streams else 1]
        fitted = {scores.name: _fitted(scores.name, dataset) for scores in finalists}
        steady = {name: steadiness(estimator, dataset) for name, estimator in fitted.items() if dataset.streams}
        best = max(finalists, key=lambda scores: steady.get(scores.name, 0.0))
        chosen = Chosen(best, fitted[best.name], dataset, results, steady)
        if dataset.extra_rows is None or not len(dataset.extra_rows):
            return chosen
        return self._or_plain(chosen)

    def careless(self, chosen: Chosen) -> Scores:
        """The chosen model's scores on random folds, which are too good."""
        name = chosen.scores.name.removesuffix(", plain")
        return self._scores(name, random_folds(self._dataset), chosen.dataset)

    def _or_plain(self, chosen: Chosen) -> Chosen:
        """The same model without augmented rows, if it is better."""
        best, plain = chosen.scores, without_augmentation(self._dataset)
        other = replace(self._scores(best.name, self._folds, plain), name=f"{best.name}, plain")
        chosen = replace(chosen, results=[*chosen.results, other])
        if other.accuracy > best.accuracy + np.nan_to_num(best.standard_error):
            estimator = _fitted(best.name, plain)
            steady = dict(chosen.steadiness)
            if self._dataset.streams:
                steady[other.name] = steadiness(estimator, self._dataset)
            chosen = replace(chosen, steadiness=steady)
            # A model that holds at one frame rate only is not the better one.
            if steady.get(other.name, 1.0) >= steady.get(best.name, 1.0) - _AS_STEADY:
                return replace(chosen, scores=other, estimator=estimator, dataset=plain)
        return chosen

    def _scores(self, model: str, folds: Sequence[Fold], dataset: Dataset) -> Scores:
        self._bar.set_description(model)
        judged = []
        for fold in cross_validate(model, dataset, folds):
            judged.append(fold)
            self._bar.update()
        return scores_of(model, dataset, judged)


def _fitted(model: str, dataset: Dataset) -> Any:
    with calm():
        return fit(model, dataset, np.arange(len(dataset.rows)))


def without_augmentation(dataset: Dataset) -> Dataset:
    """The same rows without varied ones."""
    return replace(dataset, extra_rows=None, extra_targets=None, extra_groups=None)


def steadiness(estimator: Any, dataset: Dataset) -> float:
    """The share of the clips' windows with the same label at lower frame rates."""
    model = TrainedModel.from_estimator(estimator, dataset.labels)
    same = []
    for first, *slower in ([decided(model, windows) for windows in rates] for rates in dataset.streams):
        same += [other[end] == label for other in slower for end, label in first.items() if end in other]
    return float(np.mean(same)) if same else 0.0


def decided(model: TrainedModel, windows: Sequence[Window]) -> dict[int, str]:
    """The label after each window. The key is the window's end in µs."""
    known = [window.row for window in windows if window.row is not None]
    scores = iter(model.predict(np.stack(known)).tolist() if known else ())
    decision = Decision()
    return {
        window.end: decision.update(
            window.end / 1e6, None if window.row is None else dict(zip(model.labels, next(scores), strict=True))
        ).label
        for window in windows
    }
