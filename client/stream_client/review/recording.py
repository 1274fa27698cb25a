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
_PARTS = ("pose", "pose_world", "left_hand", "right_hand")


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
    named = {} if labels is None else {row.get("frame"): row.get("label") for row in _rows(labels)}
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
    if not isinstance(row, Mapping) or not {"frame", "time", "width", "height", "pose"} <= row.keys():
        raise ConfigurationError(f"{path}, row {number}: no row of a landmarks file")
    pose = row["pose"]
    if pose is not None and (not isinstance(pose, Sequence) or len(pose) != 33):
        raise ConfigurationError(f"{path}, row {number}: a pose has 33 points")
    kept: dict[str, Any] = {name: row[name] for name in ("frame", "time", "width", "height")}
    for part in _PARTS:
        points = row.get(part)
        kept[part] = None if points is None else [[round(float(value), 5) for value in point[:3]] for point in points]
    return kept


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
