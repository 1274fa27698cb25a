"""Finds clips that show the same: what was copied, cut or encoded anew would be on both sides of a fold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from stream_client.training.grouping import Origin

MOST_NOTES = 20
_MOST_ROWS = 10_000
_NEIGHBORS = 30
_USUAL = 0.9
"""The quantile of all distances to another clip that is the usual one. The copies themselves are among the others."""
_CLOSE = 0.75
"""How close a row of another clip has to be, as a share of the usual distance to another clip."""
_CLOSE_PHOTO = 0.02
"""The same for a clip of few rows, such as a photo."""
_EQUAL = 1e-3
"""The distance of rows that are equal but for rounding, where all clips are copies and no distance is usual."""
_SHARE = 0.5
"""The share of a clip's rows that have such a row, all at the same offset in time."""
_FEW = 3
_SAME_OFFSET = 100_000
"""µs within which two offsets are the same."""


def near_duplicates(rows: npt.NDArray[np.float32], origins: Sequence[Origin]) -> list[tuple[str, str]]:
    """Pairs of groups, the first in order of their names first, that show the same movement or photo."""
    names = sorted({origin.group for origin in origins})
    numbers = np.array([names.index(origin.group) for origin in origins[:_MOST_ROWS]])
    if len(np.unique(numbers)) < 2:
        return []
    starts = np.array([origin.start for origin in origins[:_MOST_ROWS]])
    points = StandardScaler().fit_transform(rows[: len(numbers)])
    search = NearestNeighbors(n_neighbors=min(len(points), _NEIGHBORS)).fit(points)
    distances, neighbors = search.kneighbors(points)
    foreign = np.where(numbers[neighbors] != numbers[:, None], distances, np.inf)
    place = foreign.argmin(axis=1)
    every = np.arange(len(points))
    distance, twin = foreign[every, place], neighbors[every, place]
    known = np.isfinite(distance)
    if not known.any():
        return []
    usual = float(np.quantile(distance[known], _USUAL))
    sizes = Counter(numbers.tolist())
    offsets = np.round((starts[twin] - starts) / _SAME_OFFSET).astype(int)
    matches: Counter[tuple[int, int, int]] = Counter()
    for row in np.flatnonzero(known).tolist():
        few = sizes[int(numbers[row])] < _FEW
        if distance[row] <= max(usual * (_CLOSE_PHOTO if few else _CLOSE), _EQUAL):
            matches[int(numbers[row]), int(numbers[twin[row]]), int(offsets[row])] += 1
    pairs = {
        (min(group, other), max(group, other))
        for (group, other, _), count in matches.items()
        if count > _SHARE * sizes[group]
    }
    return [(names[first], names[second]) for first, second in sorted(pairs)]


def together(origins: Sequence[Origin], pairs: Sequence[tuple[str, str]]) -> list[Origin]:
    """The origins with each pair of groups as one, so that no fold splits them."""
    first_of: dict[str, str] = {}
    for first, second in pairs:
        first_of[second] = first_of.get(first, first)
    return [replace(origin, group=first_of.get(origin.group, origin.group)) for origin in origins]


def duplicate_notes(pairs: Sequence[tuple[str, str]], origins: Sequence[Origin], labels: Sequence[str]) -> list[str]:
    """A line a pair, those whose labels differ first, at most ``MOST_NOTES``, and one that counts the others.

    ``labels`` are those of the rows.
    """
    of_group: dict[str, set[str]] = {}
    for origin, label in zip(origins, labels, strict=True):
        of_group.setdefault(origin.group, set()).add(label)
    alike, different = [], []
    for first, second in pairs:
        text = f"{first} and {second} are near duplicates: they are held out together"
        if of_group[first] & of_group[second]:
            alike.append(text)
        else:
            names = ", ".join(sorted(of_group[first] | of_group[second]))
            different.append(f"{text}, but their labels differ ({names})")
    notes = different + alike
    if rest := notes[MOST_NOTES:]:
        notes[MOST_NOTES:] = [f"{len(rest)} more pairs are near duplicates: they are held out together"]
    return notes
