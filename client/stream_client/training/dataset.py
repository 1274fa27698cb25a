"""Labelled rows of features. Each row belongs to a group that no fold splits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_client.classify.models import Schema
from stream_client.classify.windows import Window, WindowSpec
from stream_client.errors import ConfigurationError

Rows = npt.NDArray[np.float32]
Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The training data of a model.

    ``rows`` is float32 [n, features], ``targets`` [n] are positions in ``labels``, ``groups`` [n] is the group of each
    row: a clip, a source video or a session. ``split`` names that kind of group. The ``extra`` rows are
    augmentations. They are used to train, in the fold of their group, and never to evaluate. ``columns`` names the
    features. ``streams`` has all windows of each clip, at the clip's frame rate and at lower ones. It is empty for
    tables and for clips of few frames a second. ``frame``: a row is the 99 torso-aligned coordinates of one pose,
    which the exported model computes itself.
    """

    rows: Rows
    targets: Integers
    groups: Integers
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    split: str
    schema: Schema | None = None
    window: WindowSpec | None = None
    extra_rows: Rows | None = None
    extra_targets: Integers | None = None
    extra_groups: Integers | None = None
    streams: tuple[tuple[tuple[Window, ...], ...], ...] = ()
    frame: bool = False
    warnings: tuple[str, ...] = ()

    def training(self, train: Integers) -> tuple[Rows, Integers]:
        """The rows at ``train`` and the augmentations of their groups."""
        rows, targets = self.rows[train], self.targets[train]
        if self.extra_rows is None or self.extra_targets is None or self.extra_groups is None:
            return rows, targets
        use = np.isin(self.extra_groups, self.groups[train])
        return np.concatenate([rows, self.extra_rows[use]]), np.concatenate([targets, self.extra_targets[use]])


def group_of(name: str, pattern: str) -> str:
    """The first group of ``pattern`` in ``name``, or the whole match. Raises :class:`.ConfigurationError`."""
    try:
        found = re.search(pattern, name)
    except re.error as error:
        raise ConfigurationError(f"{pattern!r} is not a regular expression: {error}", option="group_by") from error
    if found is None:
        raise ConfigurationError(f"{pattern!r} is not found in {name!r}", option="group_by")
    return found[found.re.groups and 1] or ""


def check_counts(targets: Integers, groups: Integers, labels: Sequence[str], what: str, split: str) -> None:
    """Raise if a label has too few samples or groups to train and evaluate."""
    if len(labels) < 2:
        raise ConfigurationError(f"{what} has {len(labels)} label(s), but at least two are needed")
    for index, label in enumerate(labels):
        here = targets == index
        if not here.any():
            raise ConfigurationError(
                f"{what} has no usable sample of {label!r}: a person must be visible for longer than a window"
            )
        if len(np.unique(groups[here])) < 2:
            raise ConfigurationError(
                f"{what} has {label!r} in one {split} only: accuracy needs at least two, one to train and one to test"
            )
