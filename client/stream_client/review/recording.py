"""Landmarks and labels of a video, frame by frame, from the files that a run wrote."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_client.errors import ConfigurationError
from stream_client.frames import Result
from stream_client.util.arrow import arrow

Row = Mapping[str, Any]
_PARTS = {"pose": 33, "pose_world": 33, "left_hand": 21, "right_hand": 21}
"""Points of each part."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A row a frame: ``time`` in seconds, ``width`` and ``height`` in pixels, ``label``, and the parts of
    :class:`~stream_client.frames.Landmarks` as lists of points, ``None`` where not seen.
    """

    rows: Sequence[Row]

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order in which they come."""
        return list(dict.fromkeys(row["label"] for row in self.rows if row.get("label")))


def read_recording(landmarks: Path, labels: Path | None = None) -> Recording:
    """Rows of a landmarks file with the labels of a labels file; raises :class:`.ConfigurationError`."""
    rows = [_checked(row, landmarks, number) for number, row in enumerate(_rows(landmarks), start=1)]
    if not rows:
        raise ConfigurationError(f"{landmarks} has no frame: give a file of landmarks", option="landmarks_output")
    named = {} if labels is None else _labels(labels)
    return Recording([{**row, "label": named.get(row["frame"])} for row in rows])


def recorded(results: Iterable[Result]) -> Recording:
    """The same of results as they come."""
    rows = []
    for result in results:
        height, width = result.image.shape[:2]
        row: dict[str, Any] = {"frame": result.frame.index, "time": result.time, "width": width, "height": height}
        row["label"] = None if result.label is None else result.label.name
        for part in _PARTS:
            points = None if result.landmarks is None else getattr(result.landmarks, part)
            row[part] = None if points is None else points[:, :3].round(5).tolist()
        rows.append(row)
    return Recording(rows)


def _checked(row: Any, path: Path, number: int) -> Row:
    place = f"{path}, row {number}"
    if not isinstance(row, Mapping) or not {"frame", "time", "width", "height", "pose"} <= row.keys():
        raise ConfigurationError(f"{place}: no row of a landmarks file")
    kept: dict[str, Any] = {name: row[name] for name in ("frame", "time", "width", "height")}
    if not all(map(_is_number, kept.values())) or kept["width"] <= 0 or kept["height"] <= 0:
        raise ConfigurationError(f"{place}: frame, time, width and height are numbers, the last two above 0")
    for part, count in _PARTS.items():
        points = row.get(part)
        kept[part] = None if points is None else _points(points, count, f"{place}: a {part}")
    return kept


def _points(points: Any, count: int, what: str) -> list[list[float]]:
    if not isinstance(points, list) or len(points) != count:
        raise ConfigurationError(f"{what} has {count} points")
    if not all(isinstance(point, list) and len(point) >= 3 and all(map(_is_number, point[:3])) for point in points):
        raise ConfigurationError(f"{what} has points of three numbers or more")
    return [[round(float(value), 5) for value in point[:3]] for point in points]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e12  # not NaN, nor infinite


def _labels(path: Path) -> dict[Any, str | None]:
    """The label of each frame in a labels file."""
    named = {}
    for number, row in enumerate(_rows(path), start=1):
        frame, label = (row.get("frame"), row.get("label")) if isinstance(row, Mapping) else (None, None)
        if not _is_number(frame) or not isinstance(label, str | None):
            raise ConfigurationError(f"{path}, row {number}: no row of a labels file", option="labels")
        named[frame] = label
    return named


def _rows(path: Path) -> list[Any]:
    if path.suffix.lower() == ".parquet":
        pyarrow, parquet = arrow()
        try:
            rows: list[Any] = parquet.read_table(path).to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise ConfigurationError(f"cannot read {path}: {error}") from error
        return rows
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.append(json.loads(line))
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: no JSON: {error}") from error
    return rows
