"""The candidate models and their cross-validation."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from stream_client.errors import ConfigurationError
from stream_client.training.dataset import Dataset, Rows
from stream_client.training.grouping import BETWEEN, Integers

Array = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.int_]
Fold = tuple[Integers, Integers]
"""The positions of a fold's rows to train on, and of those to evaluate."""

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
    """Results of a model on held-out data.

    ``folds`` has a confusion matrix for each fold, [true, predicted] counts. ``probabilities`` is [rows, labels], NaN
    for rows that no fold holds out.
    """

    name: str
    folds: tuple[Matrix, ...]
    probabilities: Array

    @property
    def confusion(self) -> Matrix:
        """The sum over all folds, [true, predicted] counts."""
        total: Matrix = np.sum(self.folds, axis=0)
        return total

    @property
    def accuracy(self) -> float:
        """The share of correct predictions, 0 to 1. NaN if nothing was held out."""
        total = self.confusion.sum()
        return float(np.trace(self.confusion) / total) if total else float("nan")

    @property
    def standard_error(self) -> float:
        """The standard error of the accuracy, from the differences between folds."""
        shares = [np.trace(fold) / fold.sum() for fold in self.folds if fold.sum()]
        return float(np.std(shares, ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else float("nan")

    @property
    def recall(self) -> tuple[float, ...]:
        """For each label, the share of its samples that was predicted correctly. NaN if none was held out."""
        return shares_of(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> tuple[float, ...]:
        """For each label, the share of its predictions that was correct. NaN if it was never predicted."""
        return shares_of(np.diag(self.confusion), self.confusion.sum(axis=0))


def shares_of(counts: Matrix, totals: Matrix) -> tuple[float, ...]:
    """``counts`` over ``totals``, NaN where a total is 0."""
    pairs = zip(counts.tolist(), totals.tolist(), strict=True)
    return tuple(count / total if total else float("nan") for count, total in pairs)


def equally_accurate(results: Sequence[Scores]) -> list[Scores]:
    """The most accurate model and all within two of its standard errors, most accurate first."""
    ordered = sorted(results, key=lambda scores: -scores.accuracy)
    least = ordered[0].accuracy - 2 * np.nan_to_num(ordered[0].standard_error)
    return [scores for scores in ordered if scores.accuracy >= least]


def fit(name: str, dataset: Dataset, train: Integers) -> Any:
    """The model called ``name``, trained on the rows at ``train`` and their augmentations."""
    rows, targets = dataset.training(train)
    return CANDIDATES[name]().fit(rows, targets)


def probabilities_of(estimator: Any, rows: Rows, labels: int) -> Array:
    """Probabilities, float64 [rows, labels]. Labels that the estimator never saw get 0."""
    full = np.zeros((len(rows), labels))
    full[:, estimator.classes_] = estimator.predict_proba(rows)
    return full


def grouped_folds(dataset: Dataset, most: int = 5) -> list[Fold]:
    """Folds that never split a group, at most ``most``. Raises :class:`.ConfigurationError` if there is one group only.

    Rows of a label with one group, and rows of :data:`.BETWEEN`, are never held out.
    """
    used = np.flatnonzero(dataset.groups != BETWEEN)
    groups = [len(np.unique(dataset.groups[used][dataset.targets[used] == t])) for t in range(len(dataset.labels))]
    several = [count for count in groups if count > 1]
    if not several:
        raise ConfigurationError(
            "there is nothing to hold out: each label has one short clip or photo only; record more of each",
            option="data",
        )
    folds = StratifiedGroupKFold(min([most, *several]))
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer rows than folds
        for train, test in folds.split(dataset.rows[used], dataset.targets[used], dataset.groups[used]):
            known = np.isin(dataset.targets[used[test]], dataset.targets[used[train]])
            if len(np.unique(dataset.targets[used[train]])) > 1:
                parts.append((used[train], used[test][known]))
    return parts


def random_folds(dataset: Dataset, most: int = 5) -> list[Fold]:
    """Folds by row, which may split a group. Their accuracy is too high."""
    counts = np.bincount(dataset.targets)
    several = counts[counts > 1]
    folds = StratifiedKFold(max(2, min(most, int(several.min(initial=most)))), shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return list(folds.split(dataset.rows, dataset.targets))


def cross_validate(name: str, dataset: Dataset, folds: Sequence[Fold]) -> Iterator[tuple[Integers, Array]]:
    """The held-out rows of each fold and their probabilities [rows, labels].

    Most models run one fold per processor at once.
    """

    def judge(fold: Fold) -> tuple[Integers, Array]:
        train, test = fold
        if not len(test):
            return test, np.zeros((0, len(dataset.labels)))
        return test, probabilities_of(fit(name, dataset, train), dataset.rows[test], len(dataset.labels))

    workers = 1 if name in _FORESTS else os.cpu_count()
    with calm(), ThreadPoolExecutor(workers, "fold") as pool:
        yield from pool.map(judge, folds)


def scores_of(name: str, dataset: Dataset, judged: Iterable[tuple[Integers, Array]]) -> Scores:
    """The scores of a cross-validation."""
    probabilities = np.full((len(dataset.rows), len(dataset.labels)), np.nan)
    folds = []
    for test, found in judged:
        probabilities[test] = found
        folds.append(confusion_of(dataset.targets[test], found))
    return Scores(name, tuple(folds), probabilities)


def confusion_of(targets: Integers, probabilities: Array) -> Matrix:
    """The confusion matrix, [true, predicted] counts."""
    confusion = np.zeros((probabilities.shape[1],) * 2, dtype=int)
    if len(targets):
        np.add.at(confusion, (targets, probabilities.argmax(axis=1)), 1)
    return confusion


@contextmanager
def calm() -> Iterator[None]:
    """Hide convergence warnings while fitting: the number of iterations is limited on purpose.

    BLAS uses one thread: several threads make products of small matrices slower, and much slower on a busy machine.
    """
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
