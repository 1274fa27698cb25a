"""Landmark tables: poses with 33 joints in each row, or trajectories of a fingertip."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT
from stream_client.classify.raw_pose import RawPose
from stream_client.errors import ConfigurationError
from stream_client.training.augment import jittered, mirror, mirrored_target
from stream_client.training.dataset import Dataset, check_labels, group_of
from stream_client.training.grouping import Groups, Integers, Origin, grouped
from stream_client.util.delimiters import delimiter_of
from stream_client.util.wording import counted

Array = npt.NDArray[np.float64]

_POSE_COLUMNS = 2 + 3 * len(BODY)
_BLOCKS = 5
_ROW_GAP = 2
"""Rows left out between two blocks of one source video."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a CSV file without its empty lines and its header. ``lines`` are the numbers of its lines."""

    path: Path
    rows: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a file. Raises :class:`.ConfigurationError`."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                delimiter = delimiter_of(file.readline())
                file.seek(0)
                reader = csv.reader(file, delimiter=delimiter)
                numbered = [(reader.line_num, row) for row in reader if row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigurationError(f"cannot read {path}: {error}", option="data") from error
        if len(numbered) > 1 and not any(_number(cell) is not None for cell in numbered[0][1]):
            numbered = numbered[1:]
        if not numbered:
            raise ConfigurationError(f"{path} is empty", option="data")
        width = len(numbered[0][1])
        for line, row in numbered:
            if len(row) != width:
                raise ConfigurationError(
                    f"{path}: line {line} has {counted(len(row), 'column')}, line {numbered[0][0]} has {width}",
                    option="data",
                )
        return cls(path, [row for _, row in numbered], [line for line, _ in numbered])

    def numbers(self, *, first_column: int) -> Array:
        """The cells from ``first_column`` on. Raises :class:`.ConfigurationError` with the line of a bad cell."""
        cells = [row[first_column:] for row in self.rows]
        try:
            numbers = np.array(cells, dtype=np.float64)
        except ValueError:
            numbers = None
        if numbers is not None and np.isfinite(numbers).all():
            return numbers
        for line, row in zip(self.lines, cells, strict=True):
            for column, cell in enumerate(row, first_column + 1):
                if _number(cell) is None:
                    raise ConfigurationError(
                        f"{self.path}: line {line}, column {column}: {cell!r} is not a number", option="data"
                    )
        raise AssertionError("a number that NumPy refuses and Python does not")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_table(path: Path, names: Mapping[str, str] | None = None, group_by: str | None = None) -> Dataset:
    """A table of poses (name, class, 99 numbers) or of trajectories (class number, pairs of numbers).

    A first line of column names is passed over. ``names`` renames classes. ``group_by`` finds the person or session in
    a pose's name (:func:`~stream_client.training.dataset.group_of`). Raises :class:`.ConfigurationError`.
    """
    table = Table.read(path)
    width = len(table.rows[0])
    if width == _POSE_COLUMNS:
        return pose_dataset(table, names or {}, group_by)
    if width >= 5 and width % 2 == 1:
        if group_by:
            raise ConfigurationError(f"{path} has trajectories, which have no name to group by", option="group_by")
        return trajectory_dataset(table, names or {})
    raise ConfigurationError(
        f"{path} has {counted(width, 'column')}: that is neither a pose (name, class, 33 x (x, y, z)) "
        "nor a trajectory (class number, n x (dx, dy)), and a table of labels begins with video,start,end,label",
        option="data",
    )


def pose_dataset(table: Table, names: Mapping[str, str], group_by: str | None) -> Dataset:
    """Poses. The default group is the source video: the part of the name between ``frame__`` and the last ``__``."""
    rows = table.rows
    numbers = table.numbers(first_column=2)
    classes = list(dict.fromkeys(row[1] for row in rows))
    if names:
        classes = [name for name in names if name in classes] + [name for name in classes if name not in names]
    labels = tuple(names.get(name, name) for name in classes)
    check_labels(labels, str(table.path))
    targets = [classes.index(row[1]) for row in rows]
    origins = tuple(Origin(_source(row[0], group_by), 0.0, position, position) for position, row in enumerate(rows))
    split = "person or session" if group_by else "source video"
    groups = grouped(targets, origins, labels, split, _ROW_GAP)
    points = numbers.reshape(-1, len(BODY), 3)
    return poses_to_dataset(points, np.array(targets, dtype=np.intp), labels, groups, origins, groups.notes)


def _source(name: str, group_by: str | None) -> str:
    """A photo that is not a frame of a video is its own group."""
    return group_of(name, group_by) if group_by else name.removeprefix("frame__").rpartition("__")[0] or name


def poses_to_dataset(
    points: Array,
    targets: Integers,
    labels: tuple[str, ...],
    groups: Groups,
    origins: tuple[Origin, ...],
    warnings: tuple[str, ...],
    seconds: tuple[float, ...] = (),
) -> Dataset:
    """Single poses [n, 33, 3], with their mirror images and jitter as augmentations."""
    rng = np.random.default_rng(0)
    other = [mirrored_target(labels, int(target)) for target in targets]
    usable = np.array([target is not None for target in other])
    reflected = mirror(points)[usable]
    extra = [(jittered(points, rng), targets, groups.numbers)]
    for variant in (reflected, jittered(reflected, rng)):
        reflected_targets = np.array([target for target in other if target is not None], dtype=np.intp)
        extra.append((variant, reflected_targets, groups.numbers[usable]))
    return Dataset(
        rows=torso_aligned(points),
        targets=targets,
        groups=groups.numbers,
        labels=labels,
        columns=tuple(f"{axis}:{name}" for axis in ("along", "across", "depth") for name in BODY),
        split=groups.split,
        schema=RawPose(),
        extra_rows=np.concatenate([torso_aligned(variant) for variant, _, _ in extra]),
        extra_targets=np.concatenate([item for _, item, _ in extra]),
        extra_groups=np.concatenate([item for _, _, item in extra]),
        frame=True,
        warnings=warnings,
        group_names=groups.names,
        origins=origins,
        seconds=seconds,
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


def trajectory_dataset(table: Table, names: Mapping[str, str]) -> Dataset:
    """Trajectories. The table does not name persons, so contiguous blocks of each class's rows are held out."""
    numbers = table.numbers(first_column=0)
    given = numbers[:, 0]
    if not np.array_equal(given, np.round(given)) or given.min() < 0:
        raise ConfigurationError(f"{table.path}: the first column has to be the class's number, from 0", option="data")
    classes = np.unique(given)
    targets = np.searchsorted(classes, given).astype(np.intp)
    groups = np.zeros(len(numbers), dtype=np.intp)
    for target in range(len(classes)):
        here = np.flatnonzero(targets == target)
        groups[here] = np.arange(len(here)) * _BLOCKS // len(here)
    labels = tuple(names.get(str(int(number)), str(int(number))) for number in classes)
    split = "contiguous block of rows"
    check_labels(labels, str(table.path))
    steps = (numbers.shape[1] - 1) // 2
    return Dataset(
        rows=numbers[:, 1:].astype(np.float32),
        targets=targets,
        groups=groups,
        labels=labels,
        columns=tuple(f"{axis}{step}" for step in range(steps) for axis in ("dx", "dy")),
        split=split,
        warnings=("no person or session is given: neighboring blocks may hold the same person",),
        group_names=tuple(f"block {block + 1}" for block in range(_BLOCKS)),
    )
