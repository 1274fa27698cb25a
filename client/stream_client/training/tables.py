"""Landmark tables: poses with 33 joints in each row, or trajectories of a fingertip."""

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT
from stream_client.classify.raw_pose import RawPose
from stream_client.errors import ConfigurationError
from stream_client.training.augment import jittered, mirror, mirrored_target
from stream_client.training.clips import one_line
from stream_client.training.dataset import Dataset, check_labels, differ_in_capitals, group_of, nothing_to_rename
from stream_client.training.grouping import Groups, Integers, Origin, grouped
from stream_client.training.pose_columns import PoseColumns, counted_columns, named_columns
from stream_client.util.text_tables import table_rows
from stream_client.util.wording import counted, told

Array = npt.NDArray[np.float64]

_POSE_COLUMNS = 2 + 3 * len(BODY)
_MOST_CLASSES = 20
"""With more, a class needs two rows on average. Otherwise the column has something else."""
_BLOCKS = 5
_ROW_GAP = 2
"""Rows left out between two blocks of one source video."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a text table, without its header. ``lines`` are the numbers of its lines."""

    path: Path
    header: list[str] | None
    rows: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a file. Raises :class:`.ConfigurationError`."""
        try:
            numbered = table_rows(path)
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path} is not in UTF-8, as it has to be: save it so", option="data") from error
        except (OSError, csv.Error) as error:
            raise ConfigurationError(f"cannot read {path}: {error}", option="data") from error
        if not numbered:
            raise ConfigurationError(f"{path} is empty", option="data")
        # Spreadsheets end lines with a delimiter.
        while len({len(row) for _, row in numbered}) == 1 and not any(row[-1] for _, row in numbered):
            numbered = [(line, row[:-1]) for line, row in numbered]
        header = None
        if not any(_number(cell) is not None for cell in numbered[0][1]) and len(numbered) > 1:
            header, numbered = numbered[0][1], numbered[1:]
        return cls(path, header, [row for _, row in numbered], [line for line, _ in numbered])

    @property
    def width(self) -> int:
        """The number of columns that most rows have."""
        return Counter(map(len, self.rows)).most_common(1)[0][0]

    def usable(
        self, numbers: Sequence[int], label: int | None, *, strict: bool
    ) -> tuple[list[list[str]], Array, list[str]]:
        """The rows that have a class in the column ``label`` and numbers in the columns ``numbers``; these; notes.

        A row without them is left out and told, or raises :class:`.ConfigurationError` with ``strict``. So does a table
        of no other rows.
        """
        width = self.width
        rows, found, wrong = [], [], []
        for line, row in zip(self.lines, self.rows, strict=True):
            if len(row) != width:
                wrong.append(f"line {line} has {counted(len(row), 'column')}, most have {width}")
                continue
            cells = [_number(row[column]) for column in numbers]
            if None in cells:
                column = numbers[cells.index(None)]
                wrong.append(f"line {line}, column {column + 1}: {row[column]!r} is not a number")
            elif label is not None and not row[label]:
                wrong.append(f"line {line}, column {label + 1}: the class is empty")
            else:
                rows.append(row)
                found.append(cells)
        if wrong and (strict or not rows):
            raise ConfigurationError(f"{self.path}: {wrong[0]}", option="data")
        notes = []
        if wrong:
            notes.append(f"{self.path}: {len(wrong)} of {counted(len(self.rows), 'row')} skipped: {told(wrong)}")
        return rows, np.array(found, dtype=np.float64), notes


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_table(
    path: Path, names: Mapping[str, str] | None = None, group_by: str | None = None, *, strict: bool = False
) -> Dataset:
    """A table of poses or of trajectories (class number, pairs of numbers).

    Poses are name, class, 99 numbers, or what a header names so (:func:`.named_columns`). ``names`` renames classes.
    ``group_by`` finds the person or session in a pose's name (:func:`~stream_client.training.dataset.group_of`). A row
    that cannot be used is left out with a note, or raises with ``strict``. Raises :class:`.ConfigurationError`.
    """
    table = Table.read(path)
    columns = None if table.header is None else named_columns(table.header)
    width = table.width
    is_trajectory = width >= 5 and width % 2 == 1 and width != _POSE_COLUMNS
    if columns is None and not (is_trajectory and _number(table.rows[0][0]) is not None):
        columns = counted_columns(width)
    if columns is not None:
        return pose_dataset(table, columns, names or {}, group_by, strict=strict)
    if is_trajectory:
        if group_by:
            raise ConfigurationError(f"{path} has trajectories, which have no name to group by", option="group_by")
        return trajectory_dataset(table, names or {}, strict=strict)
    raise ConfigurationError(
        f"{path} has {counted(width, 'column')}: that is neither a pose (name, class, 33 x (x, y, z), or a header with "
        "class, x0, y0, z0, …) nor a trajectory (class number, n x (dx, dy)), and a table of labels begins with "
        "video,start,end,label",
        option="data",
    )


def pose_dataset(
    table: Table, columns: PoseColumns, names: Mapping[str, str], group_by: str | None, *, strict: bool = False
) -> Dataset:
    """Poses. The default group is the source video: the part of the name between ``frame__`` and the last ``__``.

    Without names, blocks of rows are held out.
    """
    rows, numbers, notes = table.usable(columns.points, columns.label, strict=strict)
    given = [one_line(row[columns.label]) for row in rows]
    classes = list(dict.fromkeys(given))
    if len(classes) > max(_MOST_CLASSES, len(rows) // 2):
        raise ConfigurationError(
            f"{table.path}: column {columns.label + 1} has {len(classes)} classes in {counted(len(rows), 'row')}, "
            f"such as {classes[0]!r}: is it the class?",
            option="data",
        )
    notes += nothing_to_rename(names, classes)
    if names:
        classes = [name for name in names if name in classes] + [name for name in classes if name not in names]
    labels = tuple(dict.fromkeys(names.get(name, name) for name in classes))
    check_labels(labels, str(table.path), f" ({'; '.join(notes)})" if notes else "")
    targets = [labels.index(names.get(name, name)) for name in given]
    if columns.name is None and group_by:
        raise ConfigurationError(f"{table.path} has no column of names to group by", option="group_by")
    sources = [table.path.name if columns.name is None else _source(row[columns.name], group_by) for row in rows]
    origins = tuple(Origin(source, 0.0, position, position) for position, source in enumerate(sources))
    split = "person or session" if group_by else "table" if columns.name is None else "source video"
    groups = grouped(targets, origins, labels, split, _ROW_GAP)
    points = numbers.reshape(-1, len(BODY), 3)
    notes = [*notes, *differ_in_capitals(labels), *groups.notes]
    return poses_to_dataset(points, np.array(targets, dtype=np.intp), labels, groups, origins, (*notes,))


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


def trajectory_dataset(table: Table, names: Mapping[str, str], *, strict: bool = False) -> Dataset:
    """Trajectories. The table does not name persons, so contiguous blocks of each class's rows are held out."""
    _, numbers, notes = table.usable(range(table.width), None, strict=strict)
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
        warnings=(*notes, "no person or session is given: neighboring blocks may hold the same person"),
        group_names=tuple(f"block {block + 1}" for block in range(_BLOCKS)),
    )
