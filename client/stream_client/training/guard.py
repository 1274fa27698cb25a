"""Knows what was never shown: a guard beside the classifier.

Three parts judge a row: a forest that tells the data from rows whose columns were shuffled, the distance from each
label's rows, and the distance from the nearest row. Sources: Breiman and Cutler, Random Forests, "unsupervised
learning" (the shuffled rows); Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, 2018
(the distance from each label, Mahalanobis).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stream_client.training.grouping import Integers
from stream_client.training.views import View, seen

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]

_TREES = 100
_COMPONENTS = 20
_CLASS_COMPONENTS = 10
_MOST_ROWS = 3000
"""Rows that the guard learns from. With more it takes longer and knows little more."""
_LOSS = 0.03
"""The share of known rows that may become unknown."""
WEIGHTS = ((1.0, 1.0, 0.0), (1.0, 0.0, 1.0))
"""Of the parts. The distance from the label suits compact labels, the nearest row suits scattered ones."""
STEEPNESS = 12.0
"""How quickly the probability falls at the limit, which is close to 1 for one part."""
FARTHEST = 3.0
"""The most that one part can say."""
SMALLEST_SQUARE = 1e-4
"""Of a distance. Rows of the training data have none, and float32 cannot tell less."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A fitted guard. ``parts`` are for :meth:`raw`; the rest turns their scores into a probability.

    A part's score is measured from its median over known rows, in distances from there to the border of the least
    known :data:`_LOSS`.
    """

    view: View
    width: int
    """The columns of a row."""
    forest: Any
    projection: Any
    means: Array
    """[labels, class components]."""
    whitenings: Array
    """[labels, class components, class components]."""
    nearest: Any
    medians: Array
    spreads: Array
    weights: tuple[float, ...] = WEIGHTS[0]
    limit: float = 0.0

    def raw(self, rows: Rows) -> Array:
        """The scores of each part [rows, 3]. A higher score is more unknown."""
        view = seen(self.view, rows)
        return _scores(self.forest, self.projection, self.means, self.whitenings, self.nearest, view)

    def known(self, rows: Rows) -> Array:
        """The probability [rows] that a row is of a kind that was shown."""
        return self.known_of(self.raw(rows))

    def known_of(self, raw: Array) -> Array:
        """The same from the scores of the parts."""
        result: Array = 1 / (1 + np.exp(STEEPNESS * (combined(raw, self) - self.limit)))
        return result


def fit_parts(view: View, rows: Rows, targets: Integers, rng: np.random.Generator) -> Guard:
    """A guard without a scale: :func:`scaled` gives it one from held-out rows."""
    if len(rows) > _MOST_ROWS:
        kept = rng.choice(len(rows), _MOST_ROWS, replace=False)
        rows, targets = rows[kept], targets[kept]
    features = seen(view, rows)
    shuffled = np.stack([rng.permutation(column) for column in features.T], axis=1)
    forest = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=0).fit(
        np.concatenate([features, shuffled]).astype(np.float32),
        np.concatenate([targets, np.full(len(shuffled), targets.max() + 1)]),
    )
    components = min(_COMPONENTS, features.shape[1], len(features) - 1)
    projection = make_pipeline(StandardScaler(), PCA(components, random_state=0)).fit(features)
    points = projection.transform(features)
    few = points[:, :_CLASS_COMPONENTS]
    means, whitenings = [], []
    for target in np.unique(targets):
        own = few[targets == target]
        spread = LedoitWolf().fit(own if len(own) > few.shape[1] else few)
        means.append(own.mean(axis=0))
        whitenings.append(np.linalg.cholesky(spread.precision_))
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    nothing = np.zeros(3)
    return Guard(
        view,
        rows.shape[1],
        forest,
        projection,
        np.array(means),
        np.array(whitenings),
        nearest,
        nothing,
        nothing + 1,
    )


def scaled(guard: Guard, held_out: Array, weights: tuple[float, ...] = WEIGHTS[0]) -> Guard:
    """The guard with the scale and the limit of held-out scores [rows, 3]: :data:`_LOSS` of them are unknown."""
    medians = np.median(held_out, axis=0)
    spreads = np.maximum(np.quantile(held_out, 1 - _LOSS, axis=0) - medians, SMALLEST_SQUARE)
    measured = replace(guard, medians=medians, spreads=spreads, weights=weights)
    return replace(measured, limit=float(np.quantile(combined(held_out, measured), 1 - _LOSS)))


def combined(raw: Array, guard: Guard) -> Array:
    """One score [rows] of the parts' scores [rows, 3]."""
    result: Array = np.clip((raw - guard.medians) / guard.spreads, 0, FARTHEST) @ np.array(guard.weights)
    return result


def _scores(forest: Any, projection: Any, means: Array, whitenings: Array, nearest: Any, view: Array) -> Array:
    shuffled = forest.predict_proba(view.astype(np.float32))
    unusual = 1 - shuffled[:, :-1].max(axis=1)
    points = projection.transform(view)
    few = points[:, : means.shape[1]]
    moved = np.einsum("nld,lde->nle", few[:, None] - means[None], whitenings)
    from_class = np.log(np.maximum((moved**2).sum(axis=2).min(axis=1), SMALLEST_SQUARE))
    from_row = np.log(np.maximum(nearest.kneighbors(points)[0][:, 0] ** 2, SMALLEST_SQUARE))
    return np.stack([unusual, from_class, from_row], axis=1)
