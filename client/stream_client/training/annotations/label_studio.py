"""Label Studio's JSON export: timeline labels of videos in frames, labels of time series and audio in seconds, and
choices for a whole file where it has no such labels.

Source: https://labelstud.io/tags/timelinelabels (``ranges`` count frames from 1, both ends included) and
https://labelstud.io/guide/export (JSON and JSON-MIN).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stream_client.training.annotations.values import Annotation, FrameSpan
from stream_client.training.clips import Span

_LABELS = ("timelinelabels", "labels", "timeserieslabels")
_LOCAL_FILES = "/data/local-files/"
"""The address of a file that was not uploaded; the query names it."""


def read(content: Any) -> list[Annotation] | None:
    """The labels of each task with a file; ``None`` where the content is of another format."""
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        return None
    return [_task(video, task) for task in content if (video := _video(task)) is not None] or None


def _task(video: str, task: Mapping[str, Any]) -> Annotation:
    spans, frames, choices = [], [], []
    for value in _values(task):
        choices += [str(choice) for choice in value.get("choices", ())]
        names = next((value[key] for key in _LABELS if key in value), None)
        for name in names or ():
            if "ranges" in value:
                frames += [
                    FrameSpan(max(0, int(part["start"]) - 1), int(part["end"]) - 1, str(name))
                    for part in value["ranges"]
                ]
            elif "start" in value and "end" in value:
                spans.append(Span(float(value["start"]), float(value["end"]), str(name)))
    if not spans and not frames:
        spans = [Span(0.0, float("inf"), choice) for choice in choices]
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
    video: str | None = next(iter([*named, *paths]), None)
    if video is not None and _LOCAL_FILES in video:
        return parse_qs(urlsplit(video).query).get("d", [video])[0]
    return video
