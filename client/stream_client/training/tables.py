"""Landmark tables: poses with 33 joints in each row, or trajectories of a fingertip."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT
from stream_client.classify.raw_pose import RawPose
from stream_client.errors import ConfigurationError
from stream_client.training.augment import jittered, mirror, mirrored_target
from stream_client.training.dataset import Dataset, Integers, check_counts, group_of

Array = npt.NDArray[np.float64]

_POSE_COLUMNS = 2 + 3 * len(BODY)
_BLOCKS = 5


def read_table(path: Path, names: Mapping[str, str] | None = None, group_by: str | None = None) -> Dataset:
    """A table of poses (name, class, 99 numbers) or of trajectories (class number, pairs of numbers).

    ``names`` renames classes. ``group_by`` finds the person or session in a pose's name
    (:func:`~stream_client.training.dataset.group_of`). Raises :class:`.ConfigurationError`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"cannot read {path}: {error}", option="data") from error
    if not rows:
        raise ConfigurationError(f"{path} is empty", option="data")
    if len(rows[0]) == _POSE_COLUMNS:
        return pose_dataset(rows, path, names or {}, group_by)
    if len(rows[0]) >= 5 and len(rows[0]) % 2 == 1:
        if group_by:
            raise ConfigurationError(f"{path} has trajectories, which have no name to group by", option="group_by")
        return trajectory_dataset(rows, path, names or {})
    raise ConfigurationError(
        f"{path}: {len(rows[0])} columns are neither a pose (name, class, 33 x (x, y, z)) "
        "nor a trajectory (class number, n x (dx, dy))",
        option="data",
    )


def pose_dataset(rows: list[list[str]], path: Path, names: Mapping[str, str], group_by: str | None) -> Dataset:
    """Poses. The default group is the source video: the part of the name between ``frame__`` and the last ``__``."""
    numbers = _numbers([row[2:] for row in rows], path, first_column=3)
    classes = list(dict.fromkeys(row[1] for row in rows))
    if names:
        classes = [name for name in names if name in classes] + [name for name in classes if name not in names]
    targets = np.array([classes.index(row[1]) for row in rows], dtype=np.intp)
    # A photo that is not a frame of a video is its own group.
    sources = [
        group_of(row[0], group_by) if group_by else row[0].removeprefix("frame__").rpartition("__")[0] or row[0]
        for row in rows
    ]
    labels = tuple(names.get(name, name) for name in classes)
    split = "person or session" if group_by else "source video"
    return poses_to_dataset(numbers.reshape(-1, len(BODY), 3), targets, sources, labels, split=split, what=str(path))


def poses_to_dataset(
    points: Array,
    targets: Integers,
    sources: list[str],
    labels: tuple[str, ...],
    *,
    split: str,
    what: str,
    warnings: tuple[str, ...] = (),
) -> Dataset:
    """Single poses [n, 33, 3], with their mirror images and jitter as augmentations."""
    groups = np.unique(sources, return_inverse=True)[1].astype(np.intp)
    check_counts(targets, groups, labels, what, split)
    rng = np.random.default_rng(0)
    other = [mirrored_target(labels, int(target)) for target in targets]
    usable = np.array([target is not None for target in other])
    reflected = mirror(points)[usable]
    extra = [(jittered(points, rng), targets, groups)]
    for variant in (reflected, jittered(reflected, rng)):
        extra.append((variant, np.array([t for t in other if t is not None], dtype=np.intp), groups[usable]))
    return Dataset(
        rows=torso_aligned(points),
        targets=targets,
        groups=groups,
        labels=labels,
        columns=tuple(f"{axis}:{name}" for axis in ("along", "across", "depth") for name in BODY),
        split=split,
        schema=RawPose(),
        extra_rows=np.concatenate([torso_aligned(variant) for variant, _, _ in extra]),
        extra_targets=np.concatenate([item for _, item, _ in extra]),
        extra_groups=np.concatenate([item for _, _, item in extra]),
        frame=True,
        warnings=warnings,
    )


def torso_aligned(points: Array) -> npt.NDArray[np.float32]:
    """[n, 33, 3] to [n, 99]: along the torso, across it, depth, in torso lengths from the middle of the hips.

    :func:`stream_client.training.onnx_export.pose_model` puts the same into the graph's model.
    """
    hips = points[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=1, keepdims=True)
    shoulders = points[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(axis=1, keepdims=True)
    torso = (shoulders - hips)[..., :2]
    length = np.sqrt((torso**2).sum(axis=-1, keepdims=True)) + 1e-6
    up = torso / length
    moved = points - hips
    along = (moved[..., :2] * up).sum(axis=-1)
    across = moved[..., 0] * up[..., 1] - moved[..., 1] * up[..., 0]
    aligned = np.concatenate([along, across, moved[..., 2]], axis=1) / length[:, 0]
    return np.asarray(aligned, dtype=np.float32)


def trajectory_dataset(rows: list[list[str]], path: Path, names: Mapping[str, str]) -> Dataset:
    """Trajectories. The table does not name persons, so contiguous blocks of each class's rows are held out."""
    numbers = _numbers(rows, path, first_column=1)
    given = numbers[:, 0]
    if not np.array_equal(given, np.round(given)) or given.min() < 0:
        raise ConfigurationError(f"{path}: the first column has to be the class's number, from 0", option="data")
    classes = np.unique(given)
    targets = np.searchsorted(classes, given).astype(np.intp)
    groups = np.zeros(len(rows), dtype=np.intp)
    for target in range(len(classes)):
        here = np.flatnonzero(targets == target)
        groups[here] = np.arange(len(here)) * _BLOCKS // len(here)
    labels = tuple(names.get(str(int(number)), str(int(number))) for number in classes)
    split = "contiguous block of rows"
    check_counts(targets, groups, labels, str(path), split)
    steps = (numbers.shape[1] - 1) // 2
    return Dataset(
        rows=numbers[:, 1:].astype(np.float32),
        targets=targets,
        groups=groups,
        labels=labels,
        columns=tuple(f"{axis}{step}" for step in range(steps) for axis in ("dx", "dy")),
        split=split,
        warnings=("no person or session is given: neighbouring blocks may hold the same person",),
    )


def _numbers(rows: list[list[str]], path: Path, *, first_column: int) -> Array:
    width = len(rows[0])
    for line, row in enumerate(rows, 1):
        if len(row) != width:
            raise ConfigurationError(f"{path}: line {line} has another number of columns than line 1", option="data")
    try:
        numbers = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}, from column {first_column} on", option="data") from error
    if not np.isfinite(numbers).all():
        raise ConfigurationError(f"{path}: line {int(np.argwhere(~np.isfinite(numbers))[0][0]) + 1} has no number")
    return numbers
