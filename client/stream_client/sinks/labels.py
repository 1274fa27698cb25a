"""Labels as JSON Lines."""

import json
import math
from pathlib import Path
from typing import IO

from stream_client.errors import SinkError
from stream_client.frames import Result, StreamInfo


class LabelsSink:
    """One JSON object a frame, flushed line by line.

    ``{"frame": 0, "time": 0.0, "label": "standing", "score": 0.97, "scores": {…}, "latency_ms": 41.2}``:
    ``time`` in seconds of the source; label, score and scores are null where the graph gave none. Where repetitions
    are counted, ``repetitions`` says how many there were.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.name = f"labels {self._path.name}"
        self._file: IO[str] | None = None

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        try:
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {self._path}: {error.strerror} (--labels_output)") from error

    def write(self, result: Result) -> bool:
        """Append a line."""
        assert self._file is not None
        label = result.label
        latency = result.latency
        line = {
            "frame": result.frame.index,
            "time": round(result.time, 6),
            "label": label.name if label else None,
            "score": round(label.score, 6) if label else None,
            "scores": {name: round(score, 6) for name, score in label.scores.items()} if label else None,
            "latency_ms": None if math.isnan(latency) else round(1000 * latency, 3),
        }
        if label is not None and label.repetitions is not None:
            line["repetitions"] = label.repetitions
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise SinkError(f"writing {self._path} failed: {error.strerror} (--labels_output)") from error
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                raise SinkError(f"finishing {self._path} failed: {error.strerror} (--labels_output)") from error
