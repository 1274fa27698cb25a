"""Label Studio's JSON export: timeline labels of videos in frames, and labels of time series and audio in seconds.

Source: https://labelstud.io/tags/timelinelabels (``ranges`` count frames from 1, both ends included) and
https://labelstud.io/guide/export (JSON and JSON-MIN).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stream_client.training.annotations.values import Annotation, FrameSpan
from stream_client.training.clips import Span

_LABELS = ("timelinelabels", "labels", "timeserieslabels")


def read(content: Any) -> list[Annotation] | None:
    """The labels of each task; ``None`` where the content is of another format."""
    if not isinstance(content, list) or not content or not all(isinstance(task, dict) for task in content):
        return None
    tasks = [(video, task) for task in content if (video := _video(task)) is not None]
    return [_task(video, task) for video, task in tasks] if len(tasks) == len(content) else None


def _task(video: str, task: Mapping[str, Any]) -> Annotation:
    spans, frames = [], []
    for value in _values(task):
        names = next((value[key] for key in _LABELS if key in value), None)
        for name in names or ():
            if "ranges" in value:
                frames += [
                    FrameSpan(int(part["start"]) - 1, int(part["end"]) - 1, str(name)) for part in value["ranges"]
                ]
            elif "start" in value and "end" in value:
                spans.append(Span(float(value["start"]), float(value["end"]), str(name)))
    return Annotation(video, tuple(spans), tuple(frames))


def _values(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "annotations" in task:
        for annotation in task["annotations"]:
            if not annotation.get("was_cancelled"):
                yield from (result["value"] for result in annotation["result"] if "value" in result)
        return
    # JSON-MIN puts the values of each tag beside the data.
    for entry in task.values():
        if isinstance(entry, list):
            yield from (value for value in entry if isinstance(value, dict))


def _video(task: Mapping[str, Any]) -> str | None:
    data = task.get("data", task)
    paths = [value for value in data.values() if isinstance(value, str) and "." in value.rpartition("/")[2]]
    named = [data[key] for key in ("video", "video_url", "audio", "csv") if isinstance(data.get(key), str)]
    return next(iter([*named, *paths]), None)
