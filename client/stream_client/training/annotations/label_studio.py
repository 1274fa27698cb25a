"""Label Studio's JSON export: timeline labels of videos in frames, labels of time series and audio in seconds, and
choices for a whole file where it has no such labels.

Source: https://labelstud.io/tags/timelinelabels (``ranges`` count frames from 1, both ends included),
https://labelstud.io/guide/task_format (``completed_by``) and https://labelstud.io/guide/export (JSON and JSON-MIN).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stream_client.training.annotations.places import place
from stream_client.training.annotations.values import Annotation, Labels

_LABELS = ("timelinelabels", "labels", "timeserieslabels")
_LOCAL_FILES = "/data/local-files/"
"""The address of a file that was not uploaded; the query names it."""


def read(content: Any) -> list[Annotation] | None:
    """The labels of each annotator for each task with a file; ``None`` where the content is of another format."""
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        return None
    found = []
    for task in content:
        video = _video(task)
        if video is not None:
            annotators = list(_annotators(task))
            found += [_labels(video, annotator, values) for annotator, values in annotators or [("", [])]]
    return found or None


def _annotators(task: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Each annotator with the values that they gave. One who gave none has skipped the task."""
    if "annotations" not in task:
        # JSON-MIN puts the values of each tag beside the data.
        lists = [entry for entry in task.values() if isinstance(entry, list)]
        yield _name(task.get("annotator")), [value for entry in lists for value in entry if isinstance(value, dict)]
        return
    annotations = [one for one in task["annotations"] if not one.get("was_cancelled") and one.get("result")]
    for number, annotation in enumerate(annotations, 1):
        name = _name(annotation.get("completed_by")) or (f"annotation {number}" if len(annotations) > 1 else "")
        yield name, [result["value"] for result in annotation["result"] if isinstance(result.get("value"), dict)]


def _name(user: Any) -> str:
    """A user is a number or an address, or has both."""
    if isinstance(user, dict):
        user = user.get("email") or user.get("id")
    return "" if user is None else str(user)


def _labels(video: str, annotator: str, values: list[Mapping[str, Any]]) -> Annotation:
    labels = Labels(video, annotator)
    timed = False
    for value in values:
        names = next((value[key] for key in _LABELS if key in value), None)
        if names is None or not ("ranges" in value or "start" in value or "end" in value):
            continue
        timed = True
        for name in [names] if isinstance(names, str) else names or [""]:
            if "ranges" in value:
                for part in value["ranges"] or ():
                    if isinstance(part, dict):
                        labels.frames(_from_zero(part.get("start")), _from_zero(part.get("end")), name, place(part))
                    else:
                        labels.wrong(place(value), f"{name!r} has the range {part!r}, which is none")
            else:
                labels.seconds(value.get("start"), value.get("end"), name, place(value))
    if not timed:
        for value in values:
            for choice in value.get("choices", ()):
                labels.whole(choice, place(value))
    return labels.annotation()


def _from_zero(frame: Any) -> Any:
    """A frame's number from 0. Label Studio counts from 1, and has written 0, too."""
    return max(0, frame - 1) if isinstance(frame, int | float) and frame >= 0 else frame


def _video(task: Mapping[str, Any]) -> str | None:
    data = task.get("data", task)
    paths = [value for value in data.values() if isinstance(value, str) and "." in value.rpartition("/")[2]]
    named = [data[key] for key in ("video", "video_url", "audio", "csv") if isinstance(data.get(key), str)]
    video: str | None = next(iter([*named, *paths]), None)
    if video is not None and _LOCAL_FILES in video:
        return parse_qs(urlsplit(video).query).get("d", [video])[0]
    return video
