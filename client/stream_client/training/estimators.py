"""The candidate models and their cross-validation."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stream_client.training.dataset import Dataset, Integers

Matrix = npt.NDArray[np.int_]

CANDIDATES: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=300)),
    "small MLP": lambda: make_pipeline(StandardScaler(), MLPClassifier((48,), alpha=0.1, max_iter=150, random_state=0)),
    "random forest": lambda: RandomForestClassifier(100, min_samples_leaf=2, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(150, min_samples_leaf=2, random_state=0),
    # Start from zero, not from the class frequencies: the exported model is only the sum of its trees.
    "gradient boosting": lambda: GradientBoostingClassifier(
        n_estimators=80, max_depth=4, subsample=0.7, max_features="sqrt", init="zero", random_state=0
    ),
}
"""By name, smallest model first. Of two equally good models, the first is used."""

_FORESTS = ("random forest", "extra trees")
"""These change the process's warning filters in each call and restore them (sklearn.utils.parallel). Two parallel calls
would leave the filters empty, and scikit-learn warns about that."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Results of a model: one confusion matrix for each of its ``folds``, [true, predicted] counts."""

    name: str
    folds: tuple[Matrix, ...]

    @property
    def confusion(self) -> Matrix:
        """The sum over all folds, [true, predicted] counts."""
        total: Matrix = np.sum(self.folds, axis=0)
        return total

    @property
    def accuracy(self) -> float:
        """The share of correct predictions, 0 to 1."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def standard_error(self) -> float:
        """The standard error of the accuracy, from the differences between folds."""
        shares = [np.trace(fold) / fold.sum() for fold in self.folds]
        return float(np.std(shares, ddof=1) / np.sqrt(len(shares)))

    @property
    def recall(self) -> tuple[float, ...]:
        """For each label, the share of its samples that was predicted correctly."""
        return tuple(
            float(row[index] / row.sum()) if row.sum() else float("nan") for index, row in enumerate(self.confusion)
        )


def equally_accurate(results: Sequence[Scores]) -> list[Scores]:
    """The most accurate model and all within two of its standard errors, most accurate first."""
    ordered = sorted(results, key=lambda scores: -scores.accuracy)
    return [scores for scores in ordered if scores.accuracy >= ordered[0].accuracy - 2 * ordered[0].standard_error]


def fit(name: str, dataset: Dataset, train: Integers) -> Any:
    """The model called ``name``, trained on the rows at ``train`` and their augmentations."""
    rows, targets = dataset.training(train)
    return CANDIDATES[name]().fit(rows, targets)


def grouped_folds(dataset: Dataset, most: int = 5) -> list[tuple[Integers, Integers]]:
    """Folds that never split a group, at most ``most``."""
    groups = [len(np.unique(dataset.groups[dataset.targets == t])) for t in range(len(dataset.labels))]
    folds = StratifiedGroupKFold(max(2, min(most, *groups)))
    return list(folds.split(dataset.rows, dataset.targets, dataset.groups))


def random_folds(dataset: Dataset, most: int = 5) -> list[tuple[Integers, Integers]]:
    """Folds by row, which may split a group. Their accuracy is too high."""
    smallest = int(np.bincount(dataset.targets).min())
    folds = StratifiedKFold(max(2, min(most, smallest)), shuffle=True, random_state=0)
    return list(folds.split(dataset.rows, dataset.targets))


def cross_validate(name: str, dataset: Dataset, folds: list[tuple[Integers, Integers]]) -> Iterator[Matrix]:
    """The confusion matrix of each fold, [true, predicted]. Most models run one fold per processor at once."""

    def judge(fold: tuple[Integers, Integers]) -> Matrix:
        train, test = fold
        confusion = np.zeros((len(dataset.labels), len(dataset.labels)), dtype=int)
        predicted = fit(name, dataset, train).predict(dataset.rows[test])
        np.add.at(confusion, (dataset.targets[test], predicted), 1)
        return confusion

    workers = 1 if name in _FORESTS else os.cpu_count()
    with calm(), ThreadPoolExecutor(workers, "fold") as pool:
        yield from pool.map(judge, folds)


@contextmanager
def calm() -> Iterator[None]:
    """Hide convergence warnings while fitting: the number of iterations is limited on purpose.

    BLAS uses one thread: several threads make products of small matrices slower, and much slower on a busy machine.
    """
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
