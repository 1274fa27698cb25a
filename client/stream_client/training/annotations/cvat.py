"""CVAT's XML 1.1: tracks of a video and tags of its frames, in frames; tags of images.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

from stream_client.training.annotations.values import Annotation, FrameSpan
from stream_client.training.clips import Span


def read(root: Element) -> list[Annotation]:
    """The labels of each video and image."""
    sources = _sources(root)
    only = next(iter(sources.values()), "")
    found = []
    frames: dict[str, list[FrameSpan]] = {}
    for track in root.iter("track"):
        frames.setdefault(sources.get(track.get("task_id", ""), only), []).extend(_track(track))
    tagged: dict[str, list[tuple[int, str]]] = {}
    for image in root.iter("image"):
        name = image.get("name", "")
        source = sources.get(image.get("task_id", ""), only)
        labels = [tag.get("label", "") for tag in image.iter("tag")]
        if re.fullmatch(r"frame_\d+(\.\w+)?", name.rpartition("/")[2], re.IGNORECASE) and source:
            tagged.setdefault(source, []).extend((int(image.get("id", "0")), label) for label in labels)
        elif labels:
            found.append(Annotation(name, tuple(Span(0.0, float("inf"), label) for label in labels)))
    for source, tags in tagged.items():
        frames.setdefault(source, []).extend(_runs(tags))
    return found + [Annotation(source, frames=tuple(spans)) for source, spans in frames.items()]


def _sources(root: Element) -> dict[str, str]:
    """The file of each task, by the task's number. An export of a project has several tasks."""
    meta = root.find("meta")
    if meta is None:
        return {}
    tasks = {task.findtext("id") or "": task.findtext("source") or "" for task in meta.iter("task")}
    return tasks if any(tasks.values()) else {"": meta.findtext(".//source") or ""}


def _track(track: Element) -> Iterator[FrameSpan]:
    """The times for which a track is in view: up to a shape that is outside, or up to its last shape."""
    label = track.get("label", "")
    start = last = None
    for frame, outside in sorted((int(shape.get("frame", "0")), shape.get("outside") == "1") for shape in track):
        if not outside:
            start, last = (frame if start is None else start), frame
        elif start is not None:
            yield FrameSpan(start, frame - 1, label)
            start = None
    if start is not None and last is not None:
        yield FrameSpan(start, last, label)


def _runs(tagged: list[tuple[int, str]]) -> Iterator[FrameSpan]:
    """Frames in a row with the same tag."""
    for label in sorted({label for _, label in tagged}):
        frames = sorted({frame for frame, of_frame in tagged if of_frame == label})
        first = frames[0]
        for frame, following in pairwise([*frames, frames[-1] + 2]):
            if following != frame + 1:
                yield FrameSpan(first, frame, label)
                first = following
