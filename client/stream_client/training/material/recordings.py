"""Landmarks that a run wrote, as JSON Lines or Parquet, with their labels."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stream_client.errors import SourceCodecError, SourceError, SourceNotFoundError
from stream_client.frames import Landmarks
from stream_client.training.clips import Span, Track, one_line
from stream_client.util.arrow import arrow

_LABEL = "label"


def read_track(path: Path, space: str, every: int = 1) -> Track:
    """The landmarks of every ``every``-th frame, ``space`` is ``image`` or ``world``. Raises :class:`.SourceError`."""
    timestamps, points = [], []
    for number, row in enumerate(_rows(path)):
        if number % every == 0:
            timestamps.append(round(1e6 * row["time"]))
            found = row["landmarks"]
            nothing = np.full((75, 3), np.nan)
            points.append(nothing if found is None else found.world() if space == "world" else found.pixels())
    if any(later <= earlier for earlier, later in pairwise(timestamps)):
        raise SourceCodecError(f"{path}: the column time does not rise from line to line")
    return Track(path.name, np.array(timestamps, dtype=np.int64), np.array(points).reshape(-1, 75, 3))


def read_labels(path: Path) -> tuple[Span, ...]:
    """The labels of a file with a column ``label``: our landmarks or our ``--labels_output``. Empty without one.

    A label lasts from its first row to the row after its last one. Raises :class:`.SourceError`.
    """
    rows = [(float(row["time"]), one_line(str(row.get(_LABEL) or ""))) for row in _plain_rows(path, ["time", _LABEL])]
    spans = []
    runs = [(label, [time for time, _ in run]) for label, run in groupby(rows, key=lambda row: row[1])]
    for position, (label, times) in enumerate(runs):
        end = runs[position + 1][1][0] if position + 1 < len(runs) else times[-1] + 1e-3
        if label:
            # A row at the end belongs to the next label.
            spans.append(Span(times[0], max(end - 1e-6, times[0] + 1e-6), label))
    return tuple(spans)


def last_time(path: Path) -> float | None:
    """The time of the last row, in seconds. Raises :class:`.SourceError`."""
    last = None
    for row in _plain_rows(path, ["time"]):
        last = row["time"]
    return last if isinstance(last, int | float) else None


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    columns = ["time", "width", "height", "pose", "pose_world", "left_hand", "right_hand"]
    for line, row in enumerate(_plain_rows(path, columns), 1):
        try:
            yield {"time": float(row["time"]), "landmarks": _landmarks(row)}
        except (KeyError, TypeError, ValueError) as error:
            raise SourceCodecError(f"{path}: line {line} has no landmarks: {type(error).__name__}: {error}") from error


def _landmarks(row: Mapping[str, Any]) -> Landmarks | None:
    if row["pose"] is None:
        return None
    pose = _points(row["pose"], 33, 5)
    world = row.get("pose_world")
    return Landmarks(
        pose,
        np.full((33, 3), np.nan, np.float32) if world is None else _points(world, 33, 3),
        (int(row["width"]), int(row["height"])),
        *(None if row.get(hand) is None else _points(row[hand], 21, 3) for hand in ("left_hand", "right_hand")),
    )


def _points(values: Any, count: int, columns: int) -> Any:
    points = np.array([list(point) for point in values], dtype=np.float32)
    if points.shape != (count, columns):
        raise ValueError(f"{list(points.shape)} values where [{count}, {columns}] are expected")
    return points


def _plain_rows(path: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            yield from _parquet_rows(path, columns)
            return
        with path.open(encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    row = json.loads(text)
                    if not isinstance(row, dict) or "time" not in row:
                        raise SourceCodecError(f"{path}: line {line} is no row of landmarks or labels")
                    yield row
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{path} does not exist") from error
    except json.JSONDecodeError as error:
        raise SourceCodecError(f"{path}: line {line} is no JSON: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    pyarrow, parquet = arrow("data")
    try:
        with parquet.ParquetFile(path) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            if "time" not in there:
                raise SourceCodecError(f"{path} has no column time: it has no landmarks of ours")
            for batch in file.iter_batches(batch_size=1024, columns=there):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise SourceCodecError(f"{path} is not Parquet that can be read: {str(error).splitlines()[0]}") from error
