"""Changes of the label as JSON Lines."""

import json
import sys
from pathlib import Path
from typing import IO

from stream_client.errors import SinkError
from stream_client.frames import Result, StreamInfo


class LabelChangesSink:
    """One JSON object each time that the label becomes another, flushed; ``-`` is standard output.

    ``{"frame": 31, "time": 1.03, "before": null, "label": "standing", "score": 0.97}``; null is no label.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._on_stdout = str(path) == "-"
        self.name = f"label changes {'on standard output' if self._on_stdout else self._path.name}"
        self._file: IO[str] | None = None
        self._before: str | None = None

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        try:
            self._file = sys.stdout if self._on_stdout else self._path.open("w", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {self._path}: {error.strerror} (--label_changes_output)") from error

    def write(self, result: Result) -> bool:
        """Append a line where there is a change."""
        assert self._file is not None
        label = None if result.label is None else result.label.name
        if label == self._before:
            return True
        line = {
            "frame": result.frame.index,
            "time": round(result.time, 6),
            "before": self._before,
            "label": label,
            "score": None if result.label is None else round(result.label.score, 6),
        }
        self._before = label
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise SinkError(f"writing {self._path} failed: {error.strerror} (--label_changes_output)") from error
        return True

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None and file is not sys.stdout:
            try:
                file.close()
            except OSError as error:
                raise SinkError(f"finishing {self._path} failed: {error.strerror} (--label_changes_output)") from error
