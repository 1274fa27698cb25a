"""Labels as JSON Lines."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from stream_client.frames import Detections, Person, Result, StreamInfo
from stream_client.sinks.json_lines import JsonLines


class LabelsSink:
    """One JSON object a frame, flushed line by line; ``-`` is standard output.

    ``{"frame": 0, "time": 0.0, "label": "standing", "score": 0.97, "scores": {…}, "latency_ms": 41.2}``: ``time`` in
    seconds of the source; label, score and scores are null where the graph gave none. ``repetitions`` is their count,
    where they are counted. ``capture_time`` is the camera's own, in seconds since 1970, where it is known.
    ``damaged`` is there, and true, for a damaged frame; so is ``reused`` for one with the result before it.
    ``detections``, where they are read, is a list of ``{"class": "person", "score": 0.9, "box":
    [left, top, right, bottom], "track": 3}``: pixels of the shown frame; ``track`` is null without one. ``keypoints``
    is there where the model gives them: [x, y, score] each. ``persons``, where several are seen, is a list of
    ``{"person": 3, "label": "standing", "score": 0.97, "box": [left, top, right, bottom]}``; ``carried`` is there, and
    true, where the server did not look at them in this frame.
    """

    needs_pictures = False

    def __init__(self, path: str | Path, row: Callable[[Result], Mapping[str, object]] | None = None) -> None:
        self._path = Path(path)
        self._row = row or label_row
        self.name = f"labels {self._path.name}"
        self._lines: JsonLines | None = None

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        self._lines = JsonLines(self._path, "labels_output")

    def write(self, result: Result) -> bool:
        """Append a line."""
        assert self._lines is not None
        self._lines.write(self._row(result))
        return True

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None


def label_row(result: Result) -> dict[str, object]:
    """The object of a result, as :class:`LabelsSink` describes it."""
    label = result.label
    latency = result.latency
    row: dict[str, object] = {
        "frame": result.frame.index,
        "time": round(result.time, 6),
        "label": label.name if label else None,
        "score": round(label.score, 6) if label else None,
        "scores": {name: round(score, 6) for name, score in label.scores.items()} if label else None,
        "latency_ms": None if math.isnan(latency) else round(1000 * latency, 3),
    }
    if result.persons:
        row["persons"] = [_person_row(person) for person in result.persons]
    if result.detections is not None:
        row["detections"] = _rows(result.detections)
    if label is not None and label.repetitions is not None:
        row["repetitions"] = label.repetitions
    if result.frame.capture_time is not None:
        row["capture_time"] = result.frame.capture_time / 1_000_000
    if result.frame.damaged:
        row["damaged"] = True
    if result.reused:
        row["reused"] = True
    return row


def _person_row(person: Person) -> dict[str, object]:
    label = person.label
    row: dict[str, object] = {
        "person": person.number,
        "label": label.name if label else None,
        "score": round(label.score, 6) if label else None,
        "box": [round(value, 1) for value in person.box],
    }
    if label is not None and label.repetitions is not None:
        row["repetitions"] = label.repetitions
    if person.carried:
        row["carried"] = True
    return row


def _rows(detections: Detections) -> list[dict[str, object]]:
    rows = []
    for index, box in enumerate(detections.boxes.tolist()):
        track = -1 if detections.track_ids is None else int(detections.track_ids[index])
        row: dict[str, object] = {
            "class": detections.name(index),
            "score": round(float(detections.scores[index]), 4),
            "box": [round(value, 1) for value in box],
            "track": track if track >= 0 else None,
        }
        if detections.keypoints is not None:
            row["keypoints"] = [[round(value, 3) for value in point] for point in detections.keypoints[index].tolist()]
        rows.append(row)
    return rows
