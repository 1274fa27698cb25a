"""Fits the guard against the unknown on a dataset, with scores of held-out rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupShuffleSplit

from stream_client.training.dataset import Dataset
from stream_client.training.estimators import Fold, calm
from stream_client.training.grouping import Integers
from stream_client.training.guard import WEIGHTS, Guard, fit_parts, scaled
from stream_client.training.views import View

Array = npt.NDArray[np.float64]

_FEWEST = 40
"""Rows without which a guard would be a guess."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A guard. ``known`` [rows] are held-out probabilities, NaN where a row is in no fold.

    ``left_out`` has, for each label, the share of its rows that are unknown to a guard that never saw the label.
    """

    guard: Guard
    known: Array
    left_out: Mapping[str, float]


@calm()
def fit_guard(dataset: Dataset, folds: Sequence[Fold]) -> Guarded | None:
    """A guard for the rows of a dataset. ``None`` if there are too few."""
    tested = sum(len(test) for _, test in folds)
    if tested < _FEWEST:
        return None
    view = view_of(dataset)
    rng = np.random.default_rng(0)
    raw = np.full((len(dataset.rows), 3), np.nan)
    for train, test in folds:
        if len(test):
            raw[test] = fit_parts(view, dataset.rows[train], dataset.targets[train], rng).raw(dataset.rows[test])
    held_out = ~np.isnan(raw[:, 0])
    weights, left_out = choose_weights(dataset, np.arange(len(dataset.rows)))
    parts = fit_parts(view, dataset.rows, dataset.targets, rng)
    guard = scaled(parts, raw[held_out], weights)
    known = np.full(len(dataset.rows), np.nan)
    known[held_out] = guard.known_of(raw[held_out])
    return Guarded(guard, known, left_out)


def view_of(dataset: Dataset) -> View:
    """What the guard looks at."""
    if dataset.frame:
        return "limbs"
    return "rows" if dataset.window is not None else "steps"


def choose_weights(dataset: Dataset, rows: Integers) -> tuple[tuple[float, ...], Mapping[str, float]]:
    """The weights that find a label best which was left out, and the shares that they find. ``rows``: only these."""
    targets = dataset.targets[rows]
    present = np.unique(targets).tolist()
    if len(present) < 3:
        return WEIGHTS[0], {}
    found = [left_out_shares(dataset, rows[targets != label], rows[targets == label]) for label in present]
    best = int(np.mean(found, axis=0).argmax())
    return WEIGHTS[best], {dataset.labels[label]: shares[best] for label, shares in zip(present, found, strict=True)}


def left_out_shares(dataset: Dataset, known: Integers, other: Integers) -> list[float]:
    """For each of :data:`.WEIGHTS`, the share of the rows at ``other`` that are unknown to a guard of ``known``."""
    splitter = GroupShuffleSplit(1, test_size=0.4, random_state=0)
    groups = dataset.groups[known]
    if len(np.unique(groups)) < 2:
        return [0.0] * len(WEIGHTS)
    train, test = (known[part] for part in next(splitter.split(known, groups=groups)))
    rng = np.random.default_rng(0)
    guard = fit_parts(view_of(dataset), dataset.rows[train], dataset.targets[train], rng)
    held_out, unseen = guard.raw(dataset.rows[test]), guard.raw(dataset.rows[other])
    return [float(np.mean(scaled(guard, held_out, weights).known_of(unseen) < 0.5)) for weights in WEIGHTS]
