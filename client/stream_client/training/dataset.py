"""Labeled rows of features. Each row belongs to a group that no fold splits."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_client.classify.models import Schema
from stream_client.classify.windows import Window, WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.training.grouping import BETWEEN, Integers, Origin
from stream_client.util.wording import listed

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The training data of a model.

    ``rows`` is float32 [n, features], ``targets`` [n] are positions in ``labels``, ``groups`` [n] is the group of each
    row: a clip, a source video or a session, as a position in ``group_names``. ``split`` names that kind of group. The
    group :data:`.BETWEEN` is in no fold. ``origins`` [n] is where each row comes from, empty if that is not known.
    ``seconds`` is the time with a person for each label, empty for tables.
    The ``extra`` rows are augmentations. They are used to train, in the fold of their group, and never to evaluate.
    ``columns`` names the features. ``streams`` has all windows of some clips, at the clip's frame rate and at lower
    ones. It is empty for tables and for clips of few frames a second. ``frame``: a row is the 99 torso-aligned
    coordinates of one pose, which the exported model computes itself.
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
    group_names: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def group_count(self) -> int:
        """The number of groups with a row."""
        return len(set(self.groups.tolist()) - {BETWEEN})

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


def differ_in_capitals(labels: Iterable[str]) -> list[str]:
    """A note for all labels that are the same but for capitals: mostly a slip."""
    same: dict[str, set[str]] = {}
    for label in labels:
        same.setdefault(label.casefold(), set()).add(label)
    return [
        f"{listed([repr(label) for label in sorted(alike)])} differ in capitals only, and are learned apart"
        for alike in same.values()
        if len(alike) > 1
    ]


def nothing_to_rename(names: Mapping[str, str], labels: Iterable[str]) -> list[str]:
    """A note for names that are to be changed, and that no label has."""
    there = set(labels)
    absent = [repr(name) for name in names if name not in there]
    return [f"nothing is called {listed(absent)}, which is to be renamed"] if absent else []


def check_labels(labels: tuple[str, ...], what: str, hint: str = "", *, fewest: int = 2) -> None:
    """Raise if there are fewer labels."""
    if len(labels) < fewest:
        found = f"one label only, {labels[0]!r}," if labels else "no usable sample"
        needed = "at least two labels are" if fewest > 1 else "one is"
        raise ConfigurationError(f"there is {found} in {what}: {needed} needed{hint}", option="data")
