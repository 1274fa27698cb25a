"""Changes of the label as JSON Lines."""

from pathlib import Path

from stream_client.frames import Result, StreamInfo
from stream_client.sinks.json_lines import JsonLines


class LabelChangesSink:
    """One JSON object for each change of the label, flushed; ``-`` is standard output.

    ``{"frame": 31, "time": 1.03, "before": null, "label": "standing", "score": 0.97}``; null is no label.
    """

    needs_pictures = False

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.name = f"label changes {self._path.name}"
        self._lines: JsonLines | None = None
        self._before: str | None = None

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        self._lines = JsonLines(self._path, "label_changes_output")

    def write(self, result: Result) -> bool:
        """Append a line where there is a change."""
        assert self._lines is not None
        self._lines.begin()
        label = None if result.label is None else result.label.name
        if label != self._before:
            self._lines.write(
                {
                    "frame": result.frame.index,
                    "time": round(result.time, 6),
                    "before": self._before,
                    "label": label,
                    "score": None if result.label is None else round(result.label.score, 6),
                }
            )
            self._before = label
        return True

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None
