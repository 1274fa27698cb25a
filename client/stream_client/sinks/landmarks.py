"""Landmarks as JSON Lines or Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.frames import Landmarks, Result, StreamInfo
from stream_client.sinks.json_lines import JsonLines
from stream_client.sinks.output_file import OutputFile, sink_errors
from stream_client.util.arrow import arrow

_OPTION = "landmarks_output"
_PARTS = {"pose": 5, "pose_world": 3, "left_hand": 3, "right_hand": 3, "face": 3}
"""The parts, with the number of columns of a point."""
_ROWS = 256
"""How many frames are written to Parquet at a time."""


class LandmarksSink:
    """A row a frame, in JSON Lines or Parquet by the extension, ``.jsonl`` or ``.parquet``.

    A row has ``frame``, ``time`` in seconds of the source, ``width`` and ``height`` in pixels, and each part of
    :class:`~stream_client.frames.Landmarks` as a list of points, null where it is not seen. JSON Lines are flushed one
    by one. Parquet needs pyarrow, and the file can be read only after it is closed.
    """

    needs_pictures = False
    needs_landmarks = True

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.name = f"landmarks {self._path.name}"
        suffix = self._path.suffix.lower()
        if suffix not in (".jsonl", ".parquet"):
            raise ConfigurationError(f"{self._path}: .jsonl and .parquet can be written", option=_OPTION)
        if suffix == ".parquet":
            arrow(_OPTION, ", or name a .jsonl")
        self._writer: JsonLines | _Parquet | None = None
        self._count = self._kept = 0

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        kind = _Parquet if self._path.suffix.lower() == ".parquet" else JsonLines
        self._writer = kind(self._path, _OPTION)

    def write(self, result: Result) -> bool:
        """Append a row."""
        assert self._writer is not None
        row: dict[str, Any] = {"frame": result.frame.index, "time": round(result.time, 6)}
        height, width = result.image.shape[:2]
        row |= {"width": width, "height": height}
        row |= {part: _points(result.landmarks, part) for part in _PARTS}
        self._writer.write(row)
        self._count += 1
        return True

    @property
    def kept(self) -> int:
        """Rows in the file. A Parquet file that was not finished has none that can be read."""
        return self._kept

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            if isinstance(writer, JsonLines):
                self._kept = self._count
            writer.close()
            self._kept = self._count


def _points(landmarks: Landmarks | None, part: str) -> list[list[float]] | None:
    points = None if landmarks is None else getattr(landmarks, part)
    # Six digits are a thousandth of a pixel.
    return None if points is None else np.round(points.astype(np.float64), 6).tolist()


class _Parquet:
    """Rows for a Parquet file, which takes its place when it is complete.

    An error of the operating system is a :class:`~stream_client.errors.SinkError`.
    """

    def __init__(self, path: Path, option: str) -> None:
        self._path = path
        self._option = option
        pa, parquet = arrow(_OPTION, ", or name a .jsonl")
        whole = [("frame", pa.int64()), ("time", pa.float64()), ("width", pa.int32()), ("height", pa.int32())]
        lists = [(part, pa.list_(pa.list_(pa.float32()))) for part in _PARTS]
        self._schema = pa.schema([*whole, *lists])
        self._table = pa.Table
        self._rows: list[Mapping[str, Any]] = []
        self._any = False
        self._output = OutputFile(path, option)
        with sink_errors(f"cannot write {path}", option):
            self._writer = parquet.ParquetWriter(str(self._output.written_to), self._schema)

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._any = True
        if len(self._rows) >= _ROWS:
            with sink_errors(f"writing {self._path} failed", self._option):
                self._flush()

    def close(self) -> None:
        try:
            with sink_errors(f"finishing {self._path} failed", self._option):
                try:
                    self._flush()
                finally:
                    self._writer.close()
            if self._any:
                self._output.take_place()
        finally:
            self._output.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows = []
